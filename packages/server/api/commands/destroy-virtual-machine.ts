import { destroyVm } from '../../jobs/destroy-vm.ts'
import { expungeVm } from '../../jobs/expunge-vm.ts'
import { jobCommand } from '../command.ts'
import { demandMayExpunge } from '../expunging.ts'
import { flag, id } from '../parameters.ts'
import { startVmJob, vmOfCall, vmResult } from '../vm-call.ts'

export const destroyVirtualMachine = jobCommand({
  name: 'destroyVirtualMachine',
  description:
    'Destroys a virtual machine: it is stopped and set aside until expunge.delay has passed, or with expunge=true removed for good at once; one in Error is always removed at once',
  permission: 'user',
  params: {
    id: id<'vm'>('the virtual machine').must,
    expunge: flag('remove it and its root disk for good'),
    forced: flag('cut the power instead of asking the guest to shut down'),
  },
  result: vmResult,
  async run({ app, caller, params }) {
    const vm = await vmOfCall(app, caller, params.id)
    if (params.expunge) demandMayExpunge(app, caller, 'expunge a machine at once')
    if (params.expunge || vm.state === 'Error')
      return startVmJob(app, caller, 'destroyVirtualMachine', expungeVm, { vm: vm.id, evenRunning: true })
    return startVmJob(app, caller, 'destroyVirtualMachine', destroyVm, { vm: vm.id, forced: params.forced ?? false })
  },
})
