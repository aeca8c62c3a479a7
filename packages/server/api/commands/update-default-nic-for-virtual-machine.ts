import { updateDefaultNic } from '../../jobs/update-default-nic.ts'
import { jobCommand } from '../command.ts'
import { nicOfCall, nicParameters } from '../nic-call.ts'
import { startVmJob, vmResult } from '../vm-call.ts'

export const updateDefaultNicForVirtualMachine = jobCommand({
  name: 'updateDefaultNicForVirtualMachine',
  description: 'Makes a NIC of a machine its default one, whose address the machine is shown with',
  permission: 'user',
  params: nicParameters,
  result: vmResult,
  async run({ app, caller, params }) {
    const { vm, nic } = await nicOfCall(app, caller, params)
    return startVmJob(app, caller, 'updateDefaultNicForVirtualMachine', updateDefaultNic, { vm: vm.id, nic: nic.id })
  },
})
