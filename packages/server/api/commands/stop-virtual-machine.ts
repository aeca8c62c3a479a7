import { stopVm } from '../../jobs/stop-vm.ts'
import { jobCommand } from '../command.ts'
import { flag, id } from '../parameters.ts'
import { startVmJob, vmResult } from '../vm-call.ts'

export const stopVirtualMachine = jobCommand({
  name: 'stopVirtualMachine',
  description:
    'Stops a virtual machine: the guest is asked to shut down, and after vm.stop.wait seconds its power is cut',
  permission: 'user',
  params: {
    id: id<'vm'>('the virtual machine').must,
    forced: flag('cut the power at once'),
  },
  result: vmResult,
  run: ({ app, caller, params }) =>
    startVmJob(app, caller, 'stopVirtualMachine', stopVm, { vm: params.id, forced: params.forced ?? false }),
})
