import { rebootVm } from '../../jobs/reboot-vm.ts'
import { jobCommand } from '../command.ts'
import { flag, id } from '../parameters.ts'
import { startVmJob, vmResult } from '../vm-call.ts'

export const rebootVirtualMachine = jobCommand({
  name: 'rebootVirtualMachine',
  description: 'Stops a running virtual machine and starts it again',
  permission: 'user',
  params: {
    id: id<'vm'>('the virtual machine').must,
    forced: flag('cut the power instead of asking the guest to shut down'),
  },
  result: vmResult,
  run: ({ app, caller, params }) =>
    startVmJob(app, caller, 'rebootVirtualMachine', rebootVm, { vm: params.id, forced: params.forced ?? false }),
})
