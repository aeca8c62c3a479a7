// One page of a list, and how many entries there are in all, from one query.
import { type Expression, type SelectQueryBuilder, sql, type SqlBool } from 'kysely'
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
