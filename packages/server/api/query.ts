// One page of a list, and how many entries there are in all, from one query.
import { type Expression, type SelectQueryBuilder, sql, type SqlBool, type StringReference } from 'kysely'
import type { Page } from './paging.ts'

/** Runs `query`, which must not be ordered by anything but what makes its order stable. */
export async function pageOf<DB, TB extends keyof DB, O>(
  query: SelectQueryBuilder<DB, TB, O>,
  page: Page,
): Promise<{ count: number; items: O[] }> {
  const items = (await query.limit(page.limit).offset(page.offset).execute()) as O[]
  if (page.offset === 0 && items.length < page.limit) return { count: items.length, items }
  return { count: await countOf(query), items }
}

/** How many rows there are in all. */
export async function countOf<DB, TB extends keyof DB, O>(query: SelectQueryBuilder<DB, TB, O>): Promise<number> {
  const { count } = (await query
    .clearSelect()
    .clearOrderBy()
    .select(eb => eb.fn.countAll<string>().as('count'))
    .executeTakeFirstOrThrow()) as unknown as { count: string }
  return Number(count)
}

/** The same for what is not in the database. */
export function pageOfAll<T>(all: readonly T[], { limit, offset }: Page): { count: number; items: T[] } {
  return { count: all.length, items: all.slice(offset, offset + limit) }
}

/** Whether `column` reads `text`, whatever the case: clients write states and kinds as they like. */
export function reads(column: string, text: string): Expression<SqlBool> {
  return sql<SqlBool>`lower(${sql.ref(column)}) = ${text.toLowerCase()}`
}

/**
 * The rows whose columns have the values that were asked for, or one of them where that is a list. What was not asked for is
 * free, and so is what was left empty: clients send all fields of their forms.
 */
export function narrowTo<DB, TB extends keyof DB, O>(
  query: SelectQueryBuilder<DB, TB, O>,
  asked: { readonly [C in StringReference<DB, TB>]?: unknown },
): SelectQueryBuilder<DB, TB, O> {
  let narrowed = query
  for (const [column, value] of Object.entries(asked)) {
    const is = Array.isArray(value) ? sql`= any (${value})` : sql`= ${value}`
    if (value !== undefined && value !== '') narrowed = narrowed.where(sql<SqlBool>`${sql.ref(column)} ${is}`)
  }
  return narrowed
}
