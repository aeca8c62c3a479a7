import { addNic } from '../../jobs/add-nic.ts'
import { isSegment } from '../../store/networks.ts'
import { accountOfVm } from '../../store/vms.ts'
import { demandNetworkOf, inPool } from '../chosen-nics.ts'
import { jobCommand } from '../command.ts'
import { demandNetworks, networkFor } from '../network-call.ts'
import { id, invalid, ipAddress, macAddress } from '../parameters.ts'
import { startVmJob, vmOfCall, vmResult } from '../vm-call.ts'

export const addNicToVirtualMachine = jobCommand({
  name: 'addNicToVirtualMachine',
  description: 'Gives a machine a NIC in another network; a running one at once, by hot-plug',
  permission: 'user',
  params: {
    virtualmachineid: id<'vm'>('the virtual machine').must,
    networkid: id<'network'>('the network').must,
    ipaddress: ipAddress('an address of the network that is free; chosen when absent', [4]),
    macaddress: macAddress('a MAC address; made up when absent'),
  },
  result: vmResult,
  async run({ app, caller, params: { virtualmachineid, networkid, ipaddress, macaddress } }) {
    const vm = await vmOfCall(app, caller, virtualmachineid, 'virtualmachineid')
    const network = await networkFor(app, caller, await accountOfVm(app.db, vm.id), networkid, 'networkid')
    if (network.zone_id !== vm.zone_id)
      throw invalid('networkid', `names network ${network.name}, which is in another zone than ${vm.name}`)
    await demandNetworkOf(app, vm.cluster_id, network, 'networkid')
    if (await isSegment(app.db, network.id)) demandNetworks(app)
    const { ipAddress: wanted } = inPool({ network, ipAddress: ipaddress || undefined }, 'ipaddress')
    const input = { vm: vm.id, network: network.id, ipAddress: wanted, mac: macaddress || undefined }
    return startVmJob(app, caller, 'addNicToVirtualMachine', addNic, input)
  },
})
