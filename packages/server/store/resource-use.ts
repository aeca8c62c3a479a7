// How much accounts and domains have of what is limited: counted from the rows themselves, so that it cannot be wrong.
import { type Amounts, type LimitedResource, limitedResourceNames } from '@ramet/core/limits.ts'
import { type RawBuilder, sql } from 'kysely'
import type { Db } from './database.ts'

// What is destroyed waits for its removal, and no longer counts; to recover it is to ask for room again.
const vms = sql`vm where removed is null and state not in ('Destroyed', 'Expunging', 'Error')`
const volumes = sql`volume where removed is null and state not in ('Destroy', 'Expunging', 'Expunged')`
const templates = sql`template where removed is null and state = 'Active'`
const files = sql`(
  select account_id, physical_bytes from ${templates}
  union all select account_id, physical_bytes from snapshot where removed is null) file where true`

const counts: Record<LimitedResource, RawBuilder<unknown>> = {
  user_vm: sql`select count(*) from ${vms}`,
  network: sql`select count(*) from network where domain_id is null`,
  cpu: sql`select coalesce(sum(cpus), 0)::bigint from ${vms}`,
  memory: sql`select coalesce(sum(memory_mib), 0)::bigint from ${vms}`,
  public_ip: sql`select count(*) from public_ip where true`,
  volume: sql`select count(*) from ${volumes}`,
  primary_storage: sql`select coalesce(sum(size_bytes), 0)::bigint from ${volumes}`,
  template: sql`select count(*) from ${templates}`,
  secondary_storage: sql`select coalesce(sum(physical_bytes), 0)::bigint from ${files}`,
}

/** What each of `accounts` has. */
export async function useOfAccounts(
  db: Db,
  accounts: readonly string[],
  resources: readonly LimitedResource[] = limitedResourceNames,
): Promise<Map<string, Amounts>> {
  const { rows } = await sql<Amounts & { id: string }>`
    select owner.id, ${columns(resources, sql`account_id = owner.id`)}
    from account owner where owner.id = any(${accounts}::uuid[])`.execute(db)
  return new Map(rows.map(row => [row.id, row]))
}

/** What the accounts of each of `domains`, and of the domains below it, have together. */
export async function useOfDomains(
  db: Db,
  domains: readonly string[],
  resources: readonly LimitedResource[] = limitedResourceNames,
): Promise<Map<string, Amounts>> {
  const { rows } = await sql<Amounts & { id: string }>`
    select owner.id, ${columns(
      resources,
      sql`account_id in (
      select a.id from account a join domain d on d.id = a.domain_id
      where starts_with(d.path || '/', rtrim(owner.path, '/') || '/'))`,
    )}
    from domain owner where owner.id = any(${domains}::uuid[])`.execute(db)
  return new Map(rows.map(row => [row.id, row]))
}

function columns(resources: readonly LimitedResource[], isOwned: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql.join(resources.map(name => sql`(${counts[name]} and ${isOwned}) as ${sql.ref(name)}`))
}
