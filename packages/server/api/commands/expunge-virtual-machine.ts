import { expungeVm } from '../../jobs/expunge-vm.ts'
import { jobCommand } from '../command.ts'
import { demandMayExpunge } from '../expunging.ts'
import { id } from '../parameters.ts'
import { startVmJob, vmOfCall } from '../vm-call.ts'

export const expungeVirtualMachine = jobCommand({
  name: 'expungeVirtualMachine',
  description: 'Removes a destroyed virtual machine and its root disk for good',
  permission: 'user',
  params: { id: id<'vm'>('the virtual machine').must },
  async run({ app, caller, params }) {
    await vmOfCall(app, caller, params.id)
    demandMayExpunge(app, caller, 'expunge a machine')
    return startVmJob(app, caller, 'expungeVirtualMachine', expungeVm, { vm: params.id, evenRunning: false })
  },
})
