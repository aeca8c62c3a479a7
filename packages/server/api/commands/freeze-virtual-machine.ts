import { newId } from '@ramet/core/ids.ts'
import { freezeVm } from '../../jobs/freeze-vm.ts'
import { demandAction } from '../../store/vms.ts'
import { jobCommand } from '../command.ts'
import { id, invalid } from '../parameters.ts'
import { startVmJob, vmOfCall, vmResult } from '../vm-call.ts'

export const freezeVirtualMachine = jobCommand({
  name: 'freezeVirtualMachine',
  description:
    'Makes a running machine stand still at one instant, as a source for any number of instant, linked and full clones of that instant, which cost it nothing. It is Stopped and frozen then, until unfreezeVirtualMachine',
  permission: 'user',
  params: { id: id<'vm'>('the virtual machine, running').must },
  result: vmResult,
  async run({ app, caller, params }) {
    const vm = await vmOfCall(app, caller, params.id)
    if (!app.capabilitiesOf(vm.cluster_id).instantClone)
      throw invalid('id', `names a machine of ${app.hypervisor}, which cannot be frozen`)
    demandAction(vm, 'freeze')
    return startVmJob(app, caller, 'freezeVirtualMachine', freezeVm, { vm: vm.id, fork: newId<'fork'>() })
  },
})
