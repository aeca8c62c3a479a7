import { removeNic } from '../../jobs/remove-nic.ts'
import { demandNotDefault } from '../../store/nics.ts'
import { jobCommand } from '../command.ts'
import { nicOfCall, nicParameters } from '../nic-call.ts'
import { startVmJob, vmResult } from '../vm-call.ts'

export const removeNicFromVirtualMachine = jobCommand({
  name: 'removeNicFromVirtualMachine',
  description:
    'Takes a NIC from a machine, unless it is the default one; the guest of a running one is asked to let go of it',
  permission: 'user',
  params: nicParameters,
  result: vmResult,
  async run({ app, caller, params }) {
    const { vm, nic } = await nicOfCall(app, caller, params)
    demandNotDefault(vm, nic)
    return startVmJob(app, caller, 'removeNicFromVirtualMachine', removeNic, { vm: vm.id, nic: nic.id })
  },
})
