import { listedVm } from '../../store/vm-list.ts'
import { listCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { pageOfAll } from '../query.ts'
import { nicView } from '../views/nic.ts'
import { vmOfCall } from '../vm-call.ts'

export const listNics = listCommand({
  name: 'listNics',
  description: 'Lists the network interfaces of a machine',
  permission: 'user',
  params: {
    virtualmachineid: id<'vm'>('the machine').must,
    nicid: id<'nic'>('only this one'),
    networkid: id<'network'>('those in a network'),
  },
  view: nicView,
  async run({ app, caller, params, page }) {
    const { id: vm } = await vmOfCall(app, caller, params.virtualmachineid, 'virtualmachineid')
    const { nics } = (await listedVm(app.db, vm)) ?? { nics: [] }
    const asked = nics.filter(
      nic =>
        (params.nicid === undefined || nic.id === params.nicid) &&
        (params.networkid === undefined || nic.network_id === params.networkid),
    )
    return pageOfAll(asked, page)
  },
})
