// What hosts and pools have left, from the rows that occupy them, as plain data for core/placement.ts.
import type { StoragePoolId, VmId } from '@ramet/core/ids.ts'
import type { HostRoom, PoolRoom } from '@ramet/core/placement.ts'
import { servesDisks, takesNewDisks } from '@ramet/core/pool.ts'
import { occupyingStates } from '@ramet/core/vm.ts'
import { sql } from 'kysely'
import type { Db, Tx } from './database.ts'

export interface Factors {
  readonly cpu: number
  readonly reservePercent: number
}

/** Locks hosts and pools, so that two placements cannot both take the last room. */
export async function holdCapacity(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('ramet.placement'))`.execute(tx)
}

export async function hostRooms(db: Db, { cpu }: Factors): Promise<HostRoom[]> {
  const rows = await db
    .selectFrom('host')
    .innerJoin('cluster', 'cluster.id', 'host.cluster_id')
    .innerJoin('pod', 'pod.id', 'cluster.pod_id')
    .leftJoin('vm', join =>
      join
        .onRef('vm.host_id', '=', 'host.id')
        .on('vm.removed', 'is', null)
        .on('vm.state', 'in', [...occupyingStates]),
    )
    .select([
      'host.id',
      'host.name',
      'host.cluster_id',
      'cluster.pod_id',
      'host.state',
      'host.resource_state',
      'host.cpus',
      'host.memory_mib',
      'pod.zone_id',
      'cluster.allocation_state as cluster_allocation',
      'pod.allocation_state as pod_allocation',
    ])
    .select(eb => [
      eb.fn.sum<number | null>('vm.cpus').as('cpus_used'),
      eb.fn.sum<number | null>('vm.memory_mib').as('memory_used'),
      sql<StoragePoolId[]>`array(select id from storage_pool where cluster_id = host.cluster_id)`.as('pools'),
    ])
    .groupBy(['host.id', 'cluster.id', 'pod.id'])
    .execute()
  return rows.map(row => ({
    id: row.id,
    name: row.name,
    zone: row.zone_id,
    cluster: row.cluster_id,
    pod: row.pod_id,
    up: row.state === 'Up' && row.resource_state === 'Enabled',
    isOpen: row.cluster_allocation === 'Enabled' && row.pod_allocation === 'Enabled',
    cpuFree: row.cpus * cpu - (row.cpus_used ?? 0),
    memoryFreeMib: row.memory_mib - (row.memory_used ?? 0),
    pools: row.pools,
  }))
}

/** Free space on a pool is what its file system has, less a reserve and what running copies are still going to write. */
export async function poolRooms(db: Db, { reservePercent }: Factors): Promise<PoolRoom[]> {
  const rows = await db
    .selectFrom('storage_pool')
    .leftJoin('layer', join => join.onRef('layer.pool_id', '=', 'storage_pool.id').on('layer.state', '=', 'creating'))
    .select(['storage_pool.id', 'storage_pool.name', 'storage_pool.state', 'storage_pool.problem', 'storage_pool.tags'])
    .select(['total_bytes', 'free_bytes'])
    .select(eb => eb.fn.sum<string | null>('layer.allocated_bytes').as('reserved'))
    .groupBy('storage_pool.id')
    .execute()
  return rows.map(row => ({
    id: row.id,
    name: row.name,
    takesNewDisks: takesNewDisks(row),
    servesDisks: servesDisks(row),
    tags: row.tags,
    freeBytes: row.free_bytes - (row.total_bytes * reservePercent) / 100 - Number(row.reserved ?? 0),
  }))
}

/** The storage tags that the machine's offering and those of its disks ask for. */
export async function storageTagsOf(db: Db, vm: VmId): Promise<string[]> {
  const { rows } = await sql<{ tag: string }>`
    select unnest(o.storage_tags) as tag from vm join service_offering o on o.id = vm.service_offering_id where vm.id = ${vm}
    union
    select unnest(o.storage_tags) from volume v join disk_offering o on o.id = v.disk_offering_id
      where v.vm_id = ${vm} and v.removed is null
    order by tag`.execute(db)
  return rows.map(({ tag }) => tag)
}

export async function setPoolSpace(
  db: Db,
  id: StoragePoolId,
  space: { totalBytes: number; freeBytes: number },
): Promise<void> {
  await db
    .updateTable('storage_pool')
    .set({ total_bytes: space.totalBytes, free_bytes: space.freeBytes })
    .where('id', '=', id)
    .execute()
}
