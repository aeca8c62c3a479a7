import { newId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { freezeVm } from '../../jobs/freeze-vm.ts'
import { demandAction } from '../../store/vms.ts'
import { jobCommand } from '../command.ts'
import { id, invalid } from '../parameters.ts'
import { startVmJob, vmOfCall, vmResult } from '../vm-call.ts'

function frozenInside(name: string): Problem {
  return new Problem(
    'unsupported',
    'frozen-inside-guest',
    `On vSphere ${name} is frozen from inside its guest: run vmware-rpctool "instantclone.freeze" there, on Windows vmtoolsd --cmd "instantclone.freeze". It stands still at once, and cloneVirtualMachine clonetype=instant sees it and makes its clones of that instant; the command returns in each clone. It goes on when it is stopped and started`,
  )
}

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
      throw invalid('id', `names a machine of ${vm.hypervisor}, which cannot be frozen`)
    if (app.capabilitiesOf(vm.cluster_id).disks === 'machines') throw frozenInside(vm.name)
    demandAction(vm, 'freeze')
    return startVmJob(app, caller, 'freezeVirtualMachine', freezeVm, { vm: vm.id, fork: newId<'fork'>() })
  },
})
