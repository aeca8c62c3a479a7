// What clusters have and what is taken of it, for people who look whether it is enough. Placement looks at capacity.ts.
import type { ClusterId, PodId, ZoneId } from '@ramet/core/ids.ts'
import { sql } from 'kysely'
import type { Db } from './database.ts'

export interface ClusterCapacity {
  readonly zone: ZoneId
  readonly zone_name: string
  readonly pod: PodId
  readonly pod_name: string
  readonly cluster: ClusterId
  readonly cluster_name: string
  readonly memory_mib: number
  readonly memory_mib_used: number
  readonly mhz: number
  readonly mhz_used: number
  readonly cpus: number
  readonly cpus_used: number
  readonly pool_bytes: number
  readonly pool_bytes_used: number
  readonly pool_bytes_allocated: number
}

export async function clusterCapacities(db: Db): Promise<ClusterCapacity[]> {
  const { rows } = await sql<ClusterCapacity>`
    select z.id as zone, z.name as zone_name, p.id as pod, p.name as pod_name, c.id as cluster, c.name as cluster_name,
      h.memory_mib, h.memory_mib_used, h.mhz, h.mhz_used, h.cpus, h.cpus_used,
      s.bytes as pool_bytes, s.used as pool_bytes_used, s.allocated as pool_bytes_allocated
    from cluster c join pod p on p.id = c.pod_id join zone z on z.id = p.zone_id
    cross join lateral (
      select coalesce(sum(host.memory_mib), 0)::bigint as memory_mib, coalesce(sum(load.memory_mib), 0)::bigint as memory_mib_used,
        coalesce(sum(host.cpus * host.cpu_mhz), 0)::bigint as mhz, coalesce(sum(load.cpu_mhz), 0)::bigint as mhz_used,
        coalesce(sum(host.cpus), 0)::bigint as cpus, coalesce(sum(load.cpus), 0)::bigint as cpus_used
      from host join host_load load on load.host_id = host.id where host.cluster_id = c.id) h
    cross join lateral (
      select coalesce(sum(pool.total_bytes), 0)::bigint as bytes,
        coalesce(sum(pool.total_bytes - pool.free_bytes), 0)::bigint as used,
        coalesce(sum((select sum(virtual_bytes) from layer where layer.pool_id = pool.id)), 0)::bigint as allocated
      from storage_pool pool where pool.cluster_id = c.id) s
    where c.removed is null
    order by z.name, p.name, c.name`.execute(db)
  return rows
}

export interface StoreCapacity {
  readonly zone: ZoneId
  readonly bytes: number
  readonly used: number
}

export async function storeCapacities(db: Db): Promise<StoreCapacity[]> {
  const { rows } = await sql<StoreCapacity>`
    select zone_id as zone, sum(total_bytes)::bigint as bytes, sum(total_bytes - free_bytes)::bigint as used
    from image_store where removed is null group by zone_id`.execute(db)
  return rows
}
