// Zones, pods, clusters, primary and secondary storage with everything that lists show of them. Those that were removed stay
// in the database, for what refers to them, and are in no list.
import type { ClusterId, ImageStoreId, PodId, StoragePoolId, ZoneId } from '@ramet/core/ids.ts'
import { sql } from 'kysely'
import type { Db } from './database.ts'

export function selectZones(db: Db) {
  return db.selectFrom('zone').selectAll().where('zone.removed', 'is', null)
}

export function selectPods(db: Db) {
  return db
    .selectFrom('pod')
    .innerJoin('zone', 'zone.id', 'pod.zone_id')
    .selectAll('pod')
    .select('zone.name as zone_name')
    .where('pod.removed', 'is', null)
}

export function selectClusters(db: Db) {
  return db
    .selectFrom('cluster')
    .innerJoin('pod', 'pod.id', 'cluster.pod_id')
    .innerJoin('zone', 'zone.id', 'pod.zone_id')
    .selectAll('cluster')
    .leftJoin('cluster_connection as reached', 'reached.cluster_id', 'cluster.id')
    .select(['pod.name as pod_name', 'zone.id as zone_id', 'zone.name as zone_name'])
    .select(['reached.url', 'reached.username', 'reached.thumbprint', 'reached.guest_network', 'reached.problem'])
    .where('cluster.removed', 'is', null)
}

export function selectPools(db: Db) {
  const virtualBytes = sql<number>`(
    select coalesce(sum(layer.virtual_bytes), 0)::bigint from layer where layer.pool_id = storage_pool.id)`
  return db
    .selectFrom('storage_pool')
    .innerJoin('cluster', 'cluster.id', 'storage_pool.cluster_id')
    .innerJoin('pod', 'pod.id', 'cluster.pod_id')
    .innerJoin('zone', 'zone.id', 'pod.zone_id')
    .selectAll('storage_pool')
    .select(['cluster.hypervisor', 'cluster.name as cluster_name'])
    .select(['pod.id as pod_id', 'pod.name as pod_name', 'zone.id as zone_id', 'zone.name as zone_name'])
    .select(virtualBytes.as('virtual_bytes'))
    .select(shownPoolState.as('shown_state'))
}

/** A pool that is Up or Disabled, but not there, is Down. */
export const shownPoolState = sql<string>`(case
  when storage_pool.problem is not null and storage_pool.state in ('Up', 'Disabled') then 'Down' else storage_pool.state end)`

export function selectImageStores(db: Db) {
  return db
    .selectFrom('image_store')
    .innerJoin('zone', 'zone.id', 'image_store.zone_id')
    .selectAll('image_store')
    .select('zone.name as zone_name')
    .where('image_store.removed', 'is', null)
}

export const zoneById = (db: Db, id: ZoneId) => selectZones(db).where('zone.id', '=', id).executeTakeFirst()
export const podById = (db: Db, id: PodId) => selectPods(db).where('pod.id', '=', id).executeTakeFirst()
export const clusterById = (db: Db, id: ClusterId) => selectClusters(db).where('cluster.id', '=', id).executeTakeFirst()
export const listedPool = (db: Db, id: StoragePoolId) =>
  selectPools(db).where('storage_pool.id', '=', id).executeTakeFirst()
export const imageStoreById = (db: Db, id: ImageStoreId) =>
  selectImageStores(db).where('image_store.id', '=', id).executeTakeFirst()

type Place = 'zone' | 'pod' | 'cluster' | 'image_store'

/** Locks the row against its removal ('share') or against any other change ('update'); undefined when there is none. */
export async function holdPlace(
  db: Db,
  table: Place,
  id: string,
  lock: 'share' | 'update',
): Promise<{ name: string } | undefined> {
  const { rows } = await sql<{ name: string }>`
    select name from ${sql.table(table)} where id = ${id} and removed is null ${lock === 'share' ? sql`for share` : sql`for update`}`.execute(
    db,
  )
  return rows[0]
}

export async function removePlace(db: Db, table: Place, id: string): Promise<void> {
  await sql`update ${sql.table(table)} set removed = now() where id = ${id}`.execute(db)
}

/** How many rows each of these queries counts, by what they count. */
export async function remaining(db: Db, counts: Readonly<Record<string, ReturnType<typeof sql>>>): Promise<string[]> {
  const found: string[] = []
  for (const [what, count] of Object.entries(counts)) {
    const { rows } = await sql<{ count: number }>`select count(*)::int as count from ${count}`.execute(db)
    if (rows[0]?.count) found.push(`${rows[0].count} ${what}`)
  }
  return found
}
