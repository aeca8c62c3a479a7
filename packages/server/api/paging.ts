// Pages of lists: `page` and `pagesize` come together, from 1, up to `default.page.size` entries.
import { Problem } from '@ramet/core/problem.ts'
import type { Settings } from '../settings.ts'
import { integer, text, type Values } from './parameters.ts'

export const pageParameters = {
  page: integer('page to show, from 1; needs pagesize', 1, 1_000_000_000),
  pagesize: integer('entries on a page; needs page, unless it is -1: all', -1, 1_000_000_000),
  keyword: text('part of a name'),
}

export interface Page {
  readonly limit: number
  readonly offset: number
  readonly keyword: string | undefined
}

export function readPage({ page, pagesize, keyword }: Values<typeof pageParameters>, settings: Settings): Page {
  const most = settings.number('default.page.size')
  if (pagesize === -1 && page === undefined) return { limit: 1_000_000_000, offset: 0, keyword }
  if ((page === undefined) !== (pagesize === undefined)) throw refused('page and pagesize must be given together')
  if (page === undefined || pagesize === undefined) return { limit: most, offset: 0, keyword }
  if (pagesize < 1 || pagesize > most) throw refused(`pagesize must be from 1 to ${most} (default.page.size)`)
  return { limit: pagesize, offset: (page - 1) * pagesize, keyword }
}

function refused(message: string): Problem {
  return new Problem('invalid', 'invalid-page', message)
}

/** For LIKE: the characters that mean something there are taken literally. */
export function containing(part: string): string {
  return `%${part.replaceAll(/[\\%_]/g, '\\$&')}%`
}
