import { reachedBy, selectHosts } from '../../store/host-list.ts'
import { listCommand } from '../command.ts'
import { containing } from '../paging.ts'
import { id } from '../parameters.ts'
import { pageOf } from '../query.ts'
import { type HostForMigration, hostForMigrationView } from '../views/host.ts'
import { vmOfCall } from '../vm-call.ts'

export const findHostsForMigration = listCommand({
  name: 'findHostsForMigration',
  description: 'Lists the hosts that reach the disks of a running virtual machine, and whether they have room for it',
  permission: 'admin',
  params: { virtualmachineid: id<'vm'>('the virtual machine').must },
  view: hostForMigrationView,
  async run({ app, caller, params, page }): Promise<{ count: number; items: HostForMigration[] }> {
    const vm = await vmOfCall(app, caller, params.virtualmachineid, 'virtualmachineid')
    if (!app.capabilitiesOf(vm.cluster_id).migrate) return { count: 0, items: [] }
    let hosts = selectHosts(app.db).where(reachedBy(vm))
    if (page.keyword) hosts = hosts.where('host.name', 'ilike', containing(page.keyword))
    const { count, items } = await pageOf(hosts, page)
    const cpu_factor = app.settings.number('cpu.overprovisioning.factor')
    return { count, items: items.map(host => ({ ...host, cpu_factor, wanted: vm })) }
  },
})
