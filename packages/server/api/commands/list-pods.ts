import { selectPods } from '../../store/infrastructure.ts'
import { listCommand } from '../command.ts'
import { containing } from '../paging.ts'
import { id, text } from '../parameters.ts'
import { narrowTo, pageOf, reads } from '../query.ts'
import { podView } from '../views/pod.ts'

export const listPods = listCommand({
  name: 'listPods',
  description: 'Lists pods',
  permission: 'admin',
  params: {
    id: id<'pod'>('the pod'),
    name: text('exact name'),
    zoneid: id<'zone'>('those of a zone'),
    allocationstate: text('Enabled or Disabled'),
  },
  view: podView,
  run: ({ app, params, page }) => {
    let pods = selectPods(app.db).orderBy('pod.name').orderBy('pod.id')
    pods = narrowTo(pods, {
      'pod.id': params.id,
      'pod.name': params.name,
      'pod.zone_id': params.zoneid,
    })
    if (params.allocationstate) pods = pods.where(reads('pod.allocation_state', params.allocationstate))
    if (page.keyword) pods = pods.where('pod.name', 'ilike', containing(page.keyword))
    return pageOf(pods, page)
  },
})
