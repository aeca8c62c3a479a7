import { sql } from 'kysely'
import { selectClusters } from '../../store/infrastructure.ts'
import { listCommand } from '../command.ts'
import { containing } from '../paging.ts'
import { id, text } from '../parameters.ts'
import { narrowTo, pageOf, reads } from '../query.ts'
import { clusterView } from '../views/cluster.ts'

export const listClusters = listCommand({
  name: 'listClusters',
  description: 'Lists clusters',
  permission: 'admin',
  params: {
    id: id<'cluster'>('the cluster'),
    name: text('exact name'),
    zoneid: id<'zone'>('those of a zone'),
    podid: id<'pod'>('those of a pod'),
    hypervisor: text('those of a hypervisor'),
    allocationstate: text('Enabled or Disabled'),
    clustertype: text('CloudManaged or ExternalManaged'),
    managedstate: text('Managed: there are no others'),
  },
  view: clusterView,
  async run({ app, params, page }) {
    if ((params.managedstate ?? 'Managed').toLowerCase() !== 'managed') return { count: 0, items: [] }
    let clusters = selectClusters(app.db).orderBy('cluster.name').orderBy('cluster.id')
    clusters = narrowTo(clusters, {
      'cluster.id': params.id,
      'cluster.name': params.name,
      'zone.id': params.zoneid,
      'pod.id': params.podid,
    })
    if (params.clustertype)
      clusters = clusters.where(
        sql<string>`case when reached.url is null then 'cloudmanaged' else 'externalmanaged' end`,
        '=',
        params.clustertype.toLowerCase(),
      )
    if (params.hypervisor) clusters = clusters.where(reads('cluster.hypervisor', params.hypervisor))
    if (params.allocationstate) clusters = clusters.where(reads('cluster.allocation_state', params.allocationstate))
    if (page.keyword) clusters = clusters.where('cluster.name', 'ilike', containing(page.keyword))
    const { count, items } = await pageOf(clusters, page)
    const cpu_factor = app.settings.number('cpu.overprovisioning.factor')
    return { count, items: items.map(cluster => ({ ...cluster, cpu_factor })) }
  },
})
