import { listCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { pageOfAll } from '../query.ts'
import { hypervisorView } from '../views/hypervisor.ts'

export const listHypervisors = listCommand({
  name: 'listHypervisors',
  description: 'Lists the hypervisors of the clusters',
  permission: 'user',
  params: { zoneid: id<'zone'>('those of a zone') },
  view: hypervisorView,
  async run({ app, params, page }) {
    let kinds = app.db
      .selectFrom('cluster')
      .innerJoin('pod', 'pod.id', 'cluster.pod_id')
      .select('cluster.hypervisor')
      .distinct()
      .orderBy('cluster.hypervisor')
    if (params.zoneid) kinds = kinds.where('pod.zone_id', '=', params.zoneid)
    return pageOfAll(await kinds.execute(), page)
  },
})
