// One page of a list, and how many entries there are in all, from one query.
import type { SelectQueryBuilder } from 'kysely'
import type { Tables } from '../store/tables.ts'
import type { Page } from './paging.ts'

/** Runs `query`, which must not be ordered by anything but what makes its order stable. */
export async function pageOf<DB extends Tables, TB extends keyof DB, O>(
  query: SelectQueryBuilder<DB, TB, O>,
  page: Page,
): Promise<{ count: number; items: O[] }> {
  const items = (await query.limit(page.limit).offset(page.offset).execute()) as O[]
  if (page.offset === 0 && items.length < page.limit) return { count: items.length, items }
  const { count } = (await query
    .clearSelect()
    .clearOrderBy()
    .select(eb => eb.fn.countAll<string>().as('count'))
    .executeTakeFirstOrThrow()) as unknown as { count: string }
  return { count: Number(count), items }
}
