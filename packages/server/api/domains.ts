// Domains as the API shows them: which ones a caller sees, and with what.
import { sql, type RawBuilder, type SqlBool } from 'kysely'
import type { Db } from '../store/database.ts'
import { roomsOf } from '../store/limits.ts'
import { type Caller, isAdmin, liesIn } from './caller.ts'
import type { ListedDomain } from './views/domain.ts'

export function selectDomains(db: Db) {
  return db
    .selectFrom('domain')
    .leftJoin('domain as parent', 'parent.id', 'domain.parent_id')
    .selectAll('domain')
    .select('parent.name as parent_name')
    .select(
      sql<boolean>`exists (select from domain child where child.parent_id = domain.id and child.removed is null)`.as(
        'has_child',
      ),
    )
    .where('domain.removed', 'is', null)
}

export type FoundDomain = Awaited<ReturnType<ReturnType<typeof selectDomains>['execute']>>[number]

/** The own domain, and for administrators whatever lies below it. */
export function isDomainInReach(caller: Caller): RawBuilder<SqlBool> {
  if (isAdmin(caller)) return sql<SqlBool>`true`
  if (caller.account.type === 'User') return sql<SqlBool>`domain.id = ${caller.domain.id}`
  return liesIn(sql.ref('domain.path'), sql.val(caller.domain.path))
}

export async function listedDomains(db: Db, domains: readonly FoundDomain[]): Promise<ListedDomain[]> {
  const owners = domains.map(({ id, level }) => ({ id, isUnlimited: level === 0 }))
  const roomOf = await roomsOf(db, 'domain', owners)
  return domains.map(domain => ({ ...domain, room: roomOf(domain.id) }))
}

export async function listedDomain(db: Db, id: FoundDomain['id']): Promise<ListedDomain> {
  const found = await selectDomains(db).where('domain.id', '=', id).execute()
  return (await listedDomains(db, found))[0] as ListedDomain
}
