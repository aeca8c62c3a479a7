// Hosts with everything that a list shows of them: where they stand, and what machines and disks take of what they have.
import type { HostId } from '@ramet/core/ids.ts'
import { type Expression, sql, type SqlBool } from 'kysely'
import type { Db } from './database.ts'
import type { Vm } from './vms.ts'

export function selectHosts(db: Db) {
  return db
    .selectFrom('host')
    .innerJoin('cluster', 'cluster.id', 'host.cluster_id')
    .innerJoin('pod', 'pod.id', 'cluster.pod_id')
    .innerJoin('zone', 'zone.id', 'pod.zone_id')
    .innerJoin('host_load as load', 'load.host_id', 'host.id')
    .selectAll('host')
    .select(['cluster.hypervisor', 'cluster.name as cluster_name'])
    .select(['pod.id as pod_id', 'pod.name as pod_name', 'zone.id as zone_id', 'zone.name as zone_name'])
    .select([
      'load.cpus as cpus_taken',
      'load.cpu_mhz as mhz_taken',
      'load.memory_mib as memory_mib_taken',
      inCluster(sql`select total_bytes as bytes, cluster_id from storage_pool`).as('disk_bytes'),
      inCluster(
        sql`select virtual_bytes as bytes, cluster_id from layer join storage_pool on storage_pool.id = pool_id`,
      ).as('disk_bytes_taken'),
    ])
    .orderBy('host.name')
    .orderBy('host.id')
}

function inCluster(sizes: Expression<unknown>) {
  return sql<number>`(
    select coalesce(sum(sizes.bytes), 0)::bigint from (${sizes}) sizes where sizes.cluster_id = cluster.id)`
}

/** Hosts other than its own to which the machine can go without its disks: those of the clusters that its pools belong to. */
export function reachedBy({ id, host_id }: Pick<Vm, 'id' | 'host_id'>): Expression<SqlBool> {
  return sql<SqlBool>`host.id is distinct from ${host_id}::uuid and not exists (
    select 1 from volume v join storage_pool p on p.id = v.pool_id
    where v.vm_id = ${id} and v.removed is null and p.cluster_id <> host.cluster_id)`
}

export async function listedHost(db: Db, id: HostId) {
  return selectHosts(db).where('host.id', '=', id).executeTakeFirst()
}
