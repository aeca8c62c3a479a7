import { sql, type SqlBool } from 'kysely'
import { selectPools, shownPoolState } from '../../store/infrastructure.ts'
import { listCommand } from '../command.ts'
import { containing } from '../paging.ts'
import { id, text } from '../parameters.ts'
import { narrowTo, pageOf } from '../query.ts'
import { storagePoolView } from '../views/storage-pool.ts'

export const listStoragePools = listCommand({
  name: 'listStoragePools',
  description: 'Lists primary storage',
  permission: 'admin',
  params: {
    id: id<'storage-pool'>('the storage pool'),
    name: text('exact name'),
    zoneid: id<'zone'>('those of a zone'),
    podid: id<'pod'>('those of a pod'),
    clusterid: id<'cluster'>('those of a cluster'),
    hostid: id<'host'>('those that a host reaches'),
    scope: text('CLUSTER: those of clusters, and there are no others'),
    status: text('Up, Down, Disabled, PrepareForMaintenance or Maintenance'),
    path: text('exact folder', 4096),
  },
  view: storagePoolView,
  run: async ({ app, params, page }) => {
    if (params.scope && params.scope.toLowerCase() !== 'cluster') return { count: 0, items: [] }
    const { hostid } = params
    let pools = selectPools(app.db).orderBy('storage_pool.name').orderBy('storage_pool.id')
    pools = narrowTo(pools, {
      'storage_pool.id': params.id,
      'storage_pool.name': params.name,
      'zone.id': params.zoneid,
      'pod.id': params.podid,
      'cluster.id': params.clusterid,
    })
    if (hostid)
      pools = pools.where('cluster.id', 'in', eb =>
        eb.selectFrom('host').select('host.cluster_id').where('host.id', '=', hostid),
      )
    if (params.status) pools = pools.where(sql<SqlBool>`lower(${shownPoolState}) = ${params.status.toLowerCase()}`)
    if (params.path) pools = pools.where('storage_pool.path', '=', params.path)
    if (page.keyword) pools = pools.where('storage_pool.name', 'ilike', containing(page.keyword))
    return pageOf(pools, page)
  },
})
