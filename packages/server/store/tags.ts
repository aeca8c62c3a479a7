// Tags: a key and a value on anything. The kinds of things are CloudStack's words; each says where it is kept and who owns it.
import type { AccountId } from '@ramet/core/ids.ts'
import { type RawBuilder, sql, type SqlBool } from 'kysely'
import { jsonArrayFrom } from 'kysely/helpers/postgres'
import type { Db } from './database.ts'
import type { Tables } from './tables.ts'

interface Kind {
  readonly table: keyof Tables
  /** The column that holds the owning account; null: it belongs to the whole installation. */
  readonly owner: string | null
  /** Whether rows stay, marked as removed. */
  readonly stays: boolean
}

export const taggable = {
  UserVm: { table: 'vm', owner: 'account_id', stays: true },
  VMSnapshot: { table: 'vm_snapshot', owner: 'account_id', stays: true },
  Snapshot: { table: 'snapshot', owner: 'account_id', stays: true },
  Volume: { table: 'volume', owner: 'account_id', stays: true },
  Template: { table: 'template', owner: 'account_id', stays: true },
  ISO: { table: 'template', owner: 'account_id', stays: true },
  Network: { table: 'network', owner: 'account_id', stays: false },
  PublicIpAddress: { table: 'public_ip', owner: 'account_id', stays: false },
  PortForwardingRule: { table: 'port_forwarding_rule', owner: 'account_id', stays: false },
  Account: { table: 'account', owner: 'id', stays: true },
  User: { table: 'user', owner: 'account_id', stays: true },
  Domain: { table: 'domain', owner: null, stays: true },
  Zone: { table: 'zone', owner: null, stays: false },
  Pod: { table: 'pod', owner: null, stays: false },
  Cluster: { table: 'cluster', owner: null, stays: false },
  Host: { table: 'host', owner: null, stays: false },
  Storage: { table: 'storage_pool', owner: null, stays: false },
  ServiceOffering: { table: 'service_offering', owner: null, stays: true },
  DiskOffering: { table: 'disk_offering', owner: null, stays: true },
} as const satisfies Record<string, Kind>

export type TaggedKind = keyof typeof taggable

export const taggedKinds = Object.keys(taggable) as TaggedKind[]

export interface Tagged {
  readonly id: string
  readonly account_id: AccountId | null
}

/** Those of `ids` that are there, and whose they are. */
export async function thingsToTag(db: Db, kind: TaggedKind, ids: readonly string[]): Promise<Tagged[]> {
  const { table, owner, stays }: Kind = taggable[kind]
  const { rows } = await sql<Tagged>`
    select id, ${owner ? sql.ref(owner) : sql`null::uuid`} as account_id from ${sql.table(table)}
    where id = any(${ids}::uuid[]) and ${stays ? sql`removed is null` : sql`true`}`.execute(db)
  return rows
}

/** Puts each tag on each thing; a key that is there already gets the new value. */
export async function putTags(
  db: Db,
  kind: TaggedKind,
  things: readonly Tagged[],
  tags: Readonly<Record<string, string>>,
  customer: string | null,
): Promise<void> {
  const rows = things.flatMap(({ id, account_id }) =>
    Object.entries(tags).map(([key, value]) => ({
      resource_type: kind,
      resource_id: id,
      account_id,
      key,
      value,
      customer,
    })),
  )
  if (rows.length === 0) return
  await db
    .insertInto('resource_tag')
    .values(rows)
    .onConflict(conflict =>
      conflict
        .columns(['resource_id', 'key'])
        .doUpdateSet(eb => ({ value: eb.ref('excluded.value'), customer: eb.ref('excluded.customer') })),
    )
    .execute()
}

/** Takes tags off; `tags` with a value only where it is that one, and no tags at all means every tag. */
export async function takeTags(
  db: Db,
  ids: readonly string[],
  tags: Readonly<Record<string, string | null>>,
): Promise<void> {
  let off = db.deleteFrom('resource_tag').where('resource_id', 'in', ids)
  const named = Object.entries(tags)
  if (named.length > 0)
    off = off.where(eb =>
      eb.or(named.map(([key, value]) => (value ? eb.and({ key, value }) : eb('resource_tag.key', '=', key)))),
    )
  await off.execute()
}

export function selectTags(db: Db) {
  return db
    .selectFrom('resource_tag')
    .leftJoin('account', 'account.id', 'resource_tag.account_id')
    .leftJoin('domain', 'domain.id', 'account.domain_id')
    .select(['resource_tag.key', 'resource_tag.value', 'resource_tag.customer'])
    .select(['resource_tag.resource_type', 'resource_tag.resource_id'])
    .select(['account.name as account_name', 'domain.id as domain_id', 'domain.name as domain_name'])
    .select('domain.path as domain_path')
}

export type ListedTag = Awaited<ReturnType<ReturnType<typeof selectTags>['execute']>>[number]

/** The tags of what `column` names, for use in the query of a list. */
export function tagsIn(db: Db, column: string) {
  return jsonArrayFrom(
    selectTags(db)
      .where(sql<SqlBool>`resource_tag.resource_id = ${sql.ref(column)}`)
      .orderBy('key'),
  )
}

/** Each of `items` with its tags, by one query for all. */
export async function withTags<T extends { id: string }>(
  db: Db,
  items: readonly T[],
): Promise<(T & { tags: readonly ListedTag[] })[]> {
  const ids = items.map(({ id }) => id)
  const tags = ids.length > 0 ? await selectTags(db).where('resource_id', 'in', ids).orderBy('key').execute() : []
  const tagsOf = Map.groupBy(tags, tag => tag.resource_id)
  return items.map(item => ({ ...item, tags: tagsOf.get(item.id) ?? [] }))
}

/** Whether the thing that `column` names has all of `tags`. */
export function hasTags(column: string, tags: ReadonlyMap<string, string>): RawBuilder<SqlBool> {
  const conditions = [...tags].map(
    ([key, value]) => sql<SqlBool>`exists (
      select from resource_tag t where t.resource_id = ${sql.ref(column)} and t.key = ${key} and t.value = ${value})`,
  )
  return conditions.length === 0 ? sql<SqlBool>`true` : sql<SqlBool>`(${sql.join(conditions, sql` and `)})`
}
