// Limits of accounts and domains. Whoever makes something first holds room for it here, in the transaction that makes it:
// of two calls that want the last room at once, the second waits, counts again, and is refused.
import type { AccountId, DomainId } from '@ramet/core/ids.ts'
import {
  type Amounts,
  type LimitedResource,
  limitedResourceNames,
  type LimitScope,
  limitSetting,
  roomRefusal,
  unlimited,
} from '@ramet/core/limits.ts'
import { Problem } from '@ramet/core/problem.ts'
import { settingNamed } from '@ramet/core/settings.ts'
import { sql } from 'kysely'
import { demandStaying } from './accounts.ts'
import type { Db, Tx } from './database.ts'
import { useOfAccounts, useOfDomains } from './resource-use.ts'
import type { AccountType } from './tables.ts'

/** What is about to be made; memory in MiB. */
export interface Demand {
  readonly vm?: number
  readonly publicIp?: number
  readonly network?: number
  readonly cpu?: number
  readonly memory?: number
  readonly volume?: number
  readonly primaryBytes?: number
  readonly template?: number
  readonly secondaryBytes?: number
}

const demanded: Record<LimitedResource, (demand: Demand) => number | undefined> = {
  user_vm: demand => demand.vm,
  public_ip: demand => demand.publicIp,
  network: demand => demand.network,
  cpu: demand => demand.cpu,
  memory: demand => demand.memory,
  volume: demand => demand.volume,
  primary_storage: demand => demand.primaryBytes,
  template: demand => demand.template,
  secondary_storage: demand => demand.secondaryBytes,
}

/**
 * Throws unless the account and every domain above it have room for `demand`. Until `tx` ends, nobody else takes that
 * room, and the account's removal waits.
 */
export async function holdRoom(tx: Tx, account: AccountId, demand: Demand): Promise<void> {
  const owner = await holdOwner(tx, account)
  const asked = limitedResourceNames.filter(name => (demanded[name](demand) ?? 0) > 0)
  const amounts = new Map(asked.map(name => [name, demanded[name](demand) ?? 0]))
  for (const scope of await limitedScopes(tx, owner, asked)) {
    await sql`select pg_advisory_xact_lock(hashtextextended(${`ramet.room ${scope.id}`}, 0))`.execute(tx)
    await demandRoom(tx, scope, amounts)
  }
}

interface Owner {
  readonly id: AccountId
  readonly name: string
  readonly type: AccountType
  readonly path: string
}

/** The account, whose removal waits until `tx` ends; refused if that has begun. */
async function holdOwner(tx: Tx, account: AccountId): Promise<Owner> {
  const owner = await tx
    .selectFrom('account')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .select(['account.id', 'account.name', 'account.type', 'account.cleanup_needed', 'account.removed', 'domain.path'])
    .where('account.id', '=', account)
    .forShare('account')
    .executeTakeFirstOrThrow()
  demandStaying(owner)
  return owner
}

/** An account or a domain that has limits on what is asked for. */
export interface LimitedScope {
  readonly scope: LimitScope
  readonly id: AccountId | DomainId
  readonly title: string
  readonly limits: ReadonlyMap<LimitedResource, number>
}

/** In the one order in which everybody locks them: domains from the root down, then the account. */
async function limitedScopes(db: Db, owner: Owner, asked: readonly LimitedResource[]): Promise<LimitedScope[]> {
  const above = await db
    .selectFrom('domain')
    .select(['id', 'path'])
    .where('level', '>', 0)
    .where('removed', 'is', null)
    .where(sql<boolean>`starts_with(${`${owner.path}/`}, path || '/')`)
    .orderBy('level')
    .execute()
  const scopes = [
    ...above.map(({ id, path }) => ({ scope: 'domain' as const, id, title: `Domain ${path}` })),
    ...(owner.type === 'Admin' ? [] : [{ scope: 'account' as const, id: owner.id, title: `Account ${owner.name}` }]),
  ]
  if (scopes.length === 0) return []
  const limitsOf = await readLimits(
    db,
    scopes.map(({ id }) => id),
  )
  return scopes
    .map(scope => ({ ...scope, limits: bounded(asked, name => limitsOf(scope.scope, scope.id, name)) }))
    .filter(({ limits }) => limits.size > 0)
}

function bounded(asked: readonly LimitedResource[], limit: (name: LimitedResource) => number) {
  return new Map(asked.map(name => [name, limit(name)] as const).filter(([, most]) => most !== unlimited))
}

/** Looks up the limits of accounts and domains: their own, else the setting. Administrators and ROOT are for the caller to know. */
export async function readLimits(db: Db, owners: readonly string[]) {
  if (owners.length === 0) return () => unlimited
  const own = await db
    .selectFrom('resource_limit')
    .selectAll()
    .where(eb => eb.or([eb('account_id', 'in', owners as AccountId[]), eb('domain_id', 'in', owners as DomainId[])]))
    .execute()
  const changed = await db.selectFrom('configuration').selectAll().where('name', 'like', 'max.%').execute()
  const ofOwner = new Map(own.map(row => [`${row.account_id ?? row.domain_id} ${row.resource}`, row.most]))
  const ofSetting = new Map(changed.map(({ name, value }) => [name, Number(value)]))
  return (scope: LimitScope, owner: string, resource: LimitedResource): number => {
    const setting = limitSetting(scope, resource)
    return (
      ofOwner.get(`${owner} ${resource}`) ?? ofSetting.get(setting) ?? Number(settingNamed(setting)?.value ?? unlimited)
    )
  }
}

async function demandRoom(tx: Tx, scope: LimitedScope, amounts: ReadonlyMap<LimitedResource, number>): Promise<void> {
  const names = [...scope.limits.keys()]
  const use = await (scope.scope === 'account' ? useOfAccounts : useOfDomains)(tx, [scope.id], names)
  for (const [name, limit] of scope.limits) {
    const [used, more] = [use.get(scope.id)?.[name] ?? 0, amounts.get(name) ?? 0]
    const refusal = roomRefusal(scope.title, name, { used, more, limit })
    if (refusal) throw new Problem('over-limit', 'over-limit', refusal)
  }
}

/** What an owner has, and may have. */
export interface Room {
  readonly use: Amounts
  readonly limits: Readonly<Record<LimitedResource, number>>
}

/** The room of each of `owners`, which are all accounts or all domains. */
export async function roomsOf(
  db: Db,
  scope: LimitScope,
  owners: readonly { readonly id: AccountId | DomainId; readonly isUnlimited: boolean }[],
): Promise<(id: string) => Room> {
  const ids = owners.map(({ id }) => id)
  const use = await (scope === 'account' ? useOfAccounts : useOfDomains)(db, ids)
  const limitOf = await readLimits(db, ids)
  const free = new Set<string>(owners.filter(({ isUnlimited }) => isUnlimited).map(({ id }) => id))
  const limit = (id: string, name: LimitedResource) => (free.has(id) ? unlimited : limitOf(scope, id, name))
  return id => ({
    use: use.get(id) ?? noUse,
    limits: ofEach(name => limit(id, name)),
  })
}

const noUse = ofEach(() => 0)

function ofEach(value: (name: LimitedResource) => number): Record<LimitedResource, number> {
  return Object.fromEntries(limitedResourceNames.map(name => [name, value(name)])) as Record<LimitedResource, number>
}

export async function setLimit(
  tx: Tx,
  owner: { account_id: AccountId } | { domain_id: DomainId },
  resource: LimitedResource,
  most: number,
): Promise<void> {
  await tx
    .insertInto('resource_limit')
    .values({ ...owner, resource, most })
    .onConflict(conflict =>
      conflict
        .columns(['account_id' in owner ? 'account_id' : 'domain_id', 'resource'])
        .doUpdateSet({ most, updated: new Date() }),
    )
    .execute()
}
