// The tree of domains. A domain's path holds the names of all above it, so that "below" is a comparison of texts; whatever
// changes the tree holds it as a whole.
import type { DomainId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { sql } from 'kysely'
import type { Db, Tx } from './database.ts'
import type { Row } from './tables.ts'

export type Domain = Row<'domain'>

/** A path is part of an index, whose entries PostgreSQL bounds. */
const longestPath = 500

export async function holdTree(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('ramet.domains'))`.execute(tx)
}

/** The domain, which stays as it is until `tx` ends; refused when it is being removed. */
export async function holdDomain(tx: Tx, id: DomainId): Promise<Domain> {
  const domain = await tx.selectFrom('domain').selectAll().where('id', '=', id).forShare().executeTakeFirstOrThrow()
  if (domain.removed || domain.state !== 'Active')
    throw new Problem(
      'refused',
      'domain-ending',
      `Domain ${domain.path} is being deleted; nothing is made in it any more`,
    )
  return domain
}

export interface NewDomain {
  readonly id: DomainId
  readonly name: string
  readonly networkDomain: string | null
}

/** Call `holdTree` first. */
export async function insertDomain(tx: Tx, above: Domain, { id, name, networkDomain }: NewDomain): Promise<Domain> {
  const path = await freePath(tx, above.path, name)
  return tx
    .insertInto('domain')
    .values({ id, name, path, level: above.level + 1, parent_id: above.id, network_domain: networkDomain })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Gives the domain another name; the paths of all below it follow. Call `holdTree` first. */
export async function renameDomain(tx: Tx, domain: Domain, name: string): Promise<void> {
  if (name === domain.name) return
  const path = await freePath(tx, domain.path.slice(0, domain.path.lastIndexOf('/')), name)
  await tx.updateTable('domain').set({ name }).where('id', '=', domain.id).execute()
  await sql`
    update domain set path = ${path} || substr(path, length(${domain.path}::text) + 1)
    where removed is null and (id = ${domain.id} or starts_with(path, ${`${domain.path}/`}))`.execute(tx)
}

async function freePath(tx: Tx, above: string, name: string): Promise<string> {
  const path = `${above === '/' ? '' : above}/${name}`
  if (path.length > longestPath)
    throw new Problem(
      'invalid',
      'domain-too-deep',
      `Parameter name makes a path of more than ${longestPath} characters`,
    )
  const taken = await tx
    .selectFrom('domain')
    .select('id')
    .where('path', '=', path)
    .where('removed', 'is', null)
    .executeTakeFirst()
  if (taken)
    throw new Problem('refused', 'name-taken', `Parameter name: there is a domain ${path} already; choose another`)
  return path
}

/** The domain and all below it, deepest first. */
export async function subtree(db: Db, { path }: Pick<Domain, 'path'>): Promise<Domain[]> {
  return db
    .selectFrom('domain')
    .selectAll()
    .where('removed', 'is', null)
    .where(eb => eb.or([eb('path', '=', path), sql<boolean>`starts_with(path, ${`${path}/`})`]))
    .orderBy('level', 'desc')
    .execute()
}
