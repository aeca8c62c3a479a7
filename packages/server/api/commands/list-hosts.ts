import { type Expression, sql } from 'kysely'
import type { Database } from '../../store/database.ts'
import { listCommand } from '../command.ts'
import { containing } from '../paging.ts'
import { id, list, text } from '../parameters.ts'
import { pageOf, reads } from '../query.ts'
import { hostView } from '../views/host.ts'

export const listHosts = listCommand({
  name: 'listHosts',
  description: 'Lists hosts, with what they have and what machines take of it',
  permission: 'admin',
  params: {
    id: id<'host'>('the host'),
    name: text('exact name'),
    type: text('Routing: those that run machines, and there are no others'),
    zoneid: id<'zone'>('those of a zone'),
    podid: id<'pod'>('those of a pod'),
    clusterid: id<'cluster'>('those of a cluster'),
    state: text('Up or Down'),
    resourcestate: text('Enabled, Disabled or Maintenance'),
    hypervisor: text('those of a hypervisor'),
    details: list('accepted for its clients; all details are always told', text('a part')),
  },
  view: hostView,
  async run({ app, params, page }) {
    if (params.type && params.type.toLowerCase() !== 'routing') return { count: 0, items: [] }
    let hosts = selectHosts(app.db)
    if (params.id) hosts = hosts.where('host.id', '=', params.id)
    if (params.name) hosts = hosts.where('host.name', '=', params.name)
    if (params.zoneid) hosts = hosts.where('zone.id', '=', params.zoneid)
    if (params.podid) hosts = hosts.where('pod.id', '=', params.podid)
    if (params.clusterid) hosts = hosts.where('cluster.id', '=', params.clusterid)
    if (params.state) hosts = hosts.where(reads('host.state', params.state))
    if (params.resourcestate) hosts = hosts.where(reads('host.resource_state', params.resourcestate))
    if (params.hypervisor) hosts = hosts.where(reads('cluster.hypervisor', params.hypervisor))
    if (page.keyword) hosts = hosts.where('host.name', 'ilike', containing(page.keyword))
    const { count, items } = await pageOf(hosts, page)
    const cpu_factor = app.settings.number('cpu.overprovisioning.factor')
    return { count, items: items.map(host => ({ ...host, cpu_factor })) }
  },
})

function selectHosts(db: Database) {
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
