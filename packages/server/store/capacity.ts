// What hosts and pools have left, from the rows that occupy them, as plain data for core/placement.ts.
import type { Hypervisor } from '@ramet/core/clone-type.ts'
import type { ClusterId, HostId, Id, StoragePoolId, VmId } from '@ramet/core/ids.ts'
import type { Demand, HostRoom, PoolRoom } from '@ramet/core/placement.ts'
import { servesDisks, takesNewDisks } from '@ramet/core/pool.ts'
import { sql, type SqlBool } from 'kysely'
import type { Db, Tx } from './database.ts'

export interface Factors {
  readonly cpu: number
  readonly reservePercent: number
}

/** Locks pools, so that two full clones cannot both take the last room. Hosts are held one by one: `holdHostRoom`. */
export async function holdCapacity(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('ramet.placement'))`.execute(tx)
}

/** What every host of the hypervisor has left; `layers`: of those whose disks the server keeps. */
export async function hostRooms(
  db: Db,
  factors: Factors,
  of: Pick<Demand, 'hypervisor'> | 'layers',
): Promise<HostRoom[]> {
  const rooms =
    of === 'layers' ? selectRooms(db).where('reached.cluster_id', 'is', null) : selectRooms(db, of.hypervisor)
  return (await rooms.execute()).map(row => roomOf(row, factors))
}

const candidates = 16

/** Some hosts that have what the machine needs, the roomiest first. They are not held. */
export async function roomiestHosts(db: Db, { cpu }: Factors, demand: Demand): Promise<HostRoom[]> {
  const rows = await selectRooms(db, demand.hypervisor)
    .where('host.state', '=', 'Up')
    .where('host.resource_state', '=', 'Enabled')
    .where('cluster.allocation_state', '=', 'Enabled')
    .where('pod.allocation_state', '=', 'Enabled')
    .where(sql<SqlBool>`host.cpus * ${cpu}::int - load.cpus >= ${demand.cpus}`)
    .where(sql<SqlBool>`host.memory_mib - load.memory_mib >= ${demand.memoryMib}`)
    .where('pod.zone_id', '=', demand.zone)
    .$if(demand.cpus > 0, query =>
      query.where(sql<SqlBool>`(most.max_guests is null or load.machines < most.max_guests)`),
    )
    .$if(demand.cluster !== undefined, query => query.where('cluster.id', '=', demand.cluster as ClusterId))
    .$if(demand.pod !== undefined, query => query.where('pod.id', '=', demand.pod as Id<'pod'>))
    .$if(demand.host !== undefined, query => query.where('host.id', '=', demand.host as HostId))
    .$if(demand.except !== undefined, query => query.where('host.id', '!=', demand.except as HostId))
    .$if(demand.pool !== undefined, query =>
      query.where(
        sql<SqlBool>`exists (select 1 from storage_pool p where p.id = ${demand.pool} and p.cluster_id = cluster.id)`,
      ),
    )
    .orderBy(sql`host.memory_mib - load.memory_mib`, 'desc')
    .limit(candidates)
    .execute()
  return rows.map(row => roomOf(row, { cpu }))
}

function selectRooms(db: Db, hypervisor?: Demand['hypervisor']) {
  return db
    .selectFrom('host')
    .innerJoin('host_load as load', 'load.host_id', 'host.id')
    .innerJoin('cluster', 'cluster.id', 'host.cluster_id')
    .innerJoin('pod', 'pod.id', 'cluster.pod_id')
    .leftJoin('hypervisor_capabilities as most', 'most.hypervisor', 'cluster.hypervisor')
    .leftJoin('cluster_connection as reached', 'reached.cluster_id', 'cluster.id')
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
    ])
    .select(['cluster.allocation_state as cluster_state', 'pod.allocation_state as pod_state'])
    .select(['load.cpus as cpus_used', 'load.memory_mib as memory_used', 'load.machines', 'most.max_guests'])
    .select(sql<StoragePoolId[]>`array(select id from storage_pool where cluster_id = host.cluster_id)`.as('pools'))
    .$if(hypervisor !== undefined, query => query.where('cluster.hypervisor', '=', hypervisor as Hypervisor))
}

type Room = Awaited<ReturnType<ReturnType<typeof selectRooms>['execute']>>[number]

function roomOf(row: Room, { cpu }: Pick<Factors, 'cpu'>): HostRoom {
  return {
    id: row.id,
    name: row.name,
    zone: row.zone_id,
    cluster: row.cluster_id,
    pod: row.pod_id,
    machinesFree: row.max_guests === null ? null : row.max_guests - row.machines,
    up: row.state === 'Up' && row.resource_state === 'Enabled',
    isOpen: row.cluster_state === 'Enabled' && row.pod_state === 'Enabled',
    cpuFree: row.cpus * cpu - row.cpus_used,
    memoryFreeMib: row.memory_mib - row.memory_used,
    pools: row.pools,
  }
}

/**
 * Holds what the host has left until the transaction ends, so that two placements cannot both take the last room, and that the
 * host stays in use so long. False when that is not so any more or, unless `wait`, when another placement holds it.
 */
export async function holdHostRoom(
  tx: Tx,
  { cpu }: Pick<Factors, 'cpu'>,
  host: HostId,
  { cpus, memoryMib }: Pick<Demand, 'cpus' | 'memoryMib'>,
  wait: boolean,
): Promise<boolean> {
  const { rows } = await sql`
    select 1 from host_load load join host on host.id = load.host_id
    where load.host_id = ${host} and host.cpus * ${cpu}::int - load.cpus >= ${cpus}
      and host.memory_mib - load.memory_mib >= ${memoryMib}
      and host.state = 'Up' and host.resource_state = 'Enabled'
      and (${cpus}::int = 0 or coalesce(load.machines < (
        select most.max_guests from hypervisor_capabilities most join cluster on cluster.hypervisor = most.hypervisor
        where cluster.id = host.cluster_id), true))
    for update of load ${wait ? sql`` : sql`skip locked`}
    for share of host ${wait ? sql`` : sql`skip locked`}`.execute(tx)
  return rows.length > 0
}

/** Holds what all hosts have left: then a refusal is sure. */
export async function holdAllHostRooms(tx: Tx): Promise<void> {
  await sql`select 1 from host_load order by host_id for update`.execute(tx)
}

/** Free space on a pool is what its file system has, less a reserve and what running copies are still going to write. */
export async function poolRooms(db: Db, { reservePercent }: Factors): Promise<PoolRoom[]> {
  const rows = await db
    .selectFrom('storage_pool')
    .leftJoin('layer', join =>
      join.onRef('layer.pool_id', '=', 'storage_pool.id').on('layer.state', '=', sql.lit('creating')),
    )
    .select(['storage_pool.id', 'storage_pool.name', 'storage_pool.state', 'storage_pool.problem', 'storage_pool.tags'])
    .select(['total_bytes', 'free_bytes'])
    .select(eb => eb.fn.sum<string | null>('layer.allocated_bytes').as('reserved'))
    .select(
      sql<number>`(select coalesce(sum(m.allocated_bytes), 0)::bigint from memory_image m
        where m.pool_id = storage_pool.id and m.state = 'creating')`.as('memory'),
    )
    .groupBy('storage_pool.id')
    .execute()
  return rows.map(row => ({
    id: row.id,
    name: row.name,
    takesNewDisks: takesNewDisks(row),
    servesDisks: servesDisks(row),
    tags: row.tags,
    freeBytes: row.free_bytes - (row.total_bytes * reservePercent) / 100 - Number(row.reserved ?? 0) - row.memory,
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
