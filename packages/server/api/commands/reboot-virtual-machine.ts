import { rebootVm } from '../../jobs/reboot-vm.ts'
import { demandNoneAtWork } from '../../store/vm-snapshots.ts'
import { jobCommand } from '../command.ts'
import { flag, id } from '../parameters.ts'
import { startVmJob, vmOfCall, vmResult } from '../vm-call.ts'

export const rebootVirtualMachine = jobCommand({
  name: 'rebootVirtualMachine',
  description: 'Stops a running virtual machine and starts it again',
  permission: 'user',
  params: {
    id: id<'vm'>('the virtual machine').must,
    forced: flag('cut the power instead of asking the guest to shut down'),
  },
  result: vmResult,
  async run({ app, caller, params }) {
    const vm = await vmOfCall(app, caller, params.id)
    await demandNoneAtWork(app.db, vm.id)
    return startVmJob(app, caller, 'rebootVirtualMachine', rebootVm, { vm: vm.id, forced: params.forced ?? false })
  },
})
