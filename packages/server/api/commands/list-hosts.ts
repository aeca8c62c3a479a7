import { reachedBy, selectHosts } from '../../store/host-list.ts'
import { listCommand } from '../command.ts'
import { containing } from '../paging.ts'
import { flag, id, list, text } from '../parameters.ts'
import { narrowTo, pageOf, reads } from '../query.ts'
import { hostView } from '../views/host.ts'
import { vmOfCall } from '../vm-call.ts'

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
    resourcestate: text('Enabled, Disabled, PrepareForMaintenance, Maintenance or ErrorInMaintenance'),
    hypervisor: text('those of a hypervisor'),
    virtualmachineid: id<'vm'>('those to which a machine can migrate'),
    hahost: flag('true: hosts kept for machines that are restarted, and there are none'),
    details: list('accepted for its clients; all details are always told', text('a part')),
  },
  view: hostView,
  async run({ app, caller, params, page }) {
    const isOther = params.type && params.type.toLowerCase() !== 'routing'
    if (isOther || params.hahost) return { count: 0, items: [] }
    let hosts = selectHosts(app.db)
    hosts = narrowTo(hosts, {
      'host.id': params.id,
      'host.name': params.name,
      'zone.id': params.zoneid,
      'pod.id': params.podid,
      'cluster.id': params.clusterid,
    })
    if (params.state) hosts = hosts.where(reads('host.state', params.state))
    if (params.resourcestate) hosts = hosts.where(reads('host.resource_state', params.resourcestate))
    if (params.virtualmachineid)
      hosts = hosts.where(reachedBy(await vmOfCall(app, caller, params.virtualmachineid, 'virtualmachineid')))
    if (params.hypervisor) hosts = hosts.where(reads('cluster.hypervisor', params.hypervisor))
    if (page.keyword) hosts = hosts.where('host.name', 'ilike', containing(page.keyword))
    const { count, items } = await pageOf(hosts, page)
    const cpu_factor = app.settings.number('cpu.overprovisioning.factor')
    return { count, items: items.map(host => ({ ...host, cpu_factor })) }
  },
})
