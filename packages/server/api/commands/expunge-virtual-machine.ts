import { expungeVm } from '../../jobs/expunge-vm.ts'
import { jobCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { startVmJob } from '../vm-call.ts'

export const expungeVirtualMachine = jobCommand({
  name: 'expungeVirtualMachine',
  description: 'Removes a destroyed virtual machine and its root disk for good',
  permission: 'user',
  params: { id: id<'vm'>('the virtual machine').must },
  run: ({ app, caller, params }) =>
    startVmJob(app, caller, 'expungeVirtualMachine', expungeVm, { vm: params.id, evenRunning: false }),
})
