import { newId } from '@ramet/core/ids.ts'
import { restoreVm } from '../../jobs/restore-vm.ts'
import { demandAction } from '../../store/vms.ts'
import { jobCommand } from '../command.ts'
import { detailedRootSize } from '../details.ts'
import { demandMayExpunge } from '../expunging.ts'
import { flag, id, long, map } from '../parameters.ts'
import { chosenRoot } from '../restoring.ts'
import { startVmJob, vmOfCall, vmResult } from '../vm-call.ts'

export const restoreVirtualMachine = jobCommand({
  name: 'restoreVirtualMachine',
  description:
    'Makes the root disk of a virtual machine anew; what was on it is lost, data disks stay. A running machine is stopped, and started again',
  permission: 'user',
  envelope: 'restorevmresponse',
  params: {
    virtualmachineid: id<'vm'>('the virtual machine').must,
    templateid: id<'template'>('the template of the new disk; that of the machine when absent'),
    rootdisksize: long('GiB of the new disk, at least the template’s; that of the old disk when absent', 1, 64 * 1024),
    diskofferingid: id<'disk-offering'>('offering of the new disk, which says its size'),
    details: map('rootdisksize'),
    expunge: flag('remove the old disk at once, instead of after expunge.delay'),
  },
  result: vmResult,
  async run({ app, caller, params }) {
    const vm = await vmOfCall(app, caller, params.virtualmachineid, 'virtualmachineid')
    demandAction(vm, 'restore')
    if (params.expunge) demandMayExpunge(app, caller, 'remove the old disk at once')
    const rootGib = params.rootdisksize ?? detailedRootSize(params.details)
    const root = await chosenRoot(app, caller, vm, { ...params, rootGib })
    return startVmJob(app, caller, 'restoreVirtualMachine', restoreVm, {
      vm: vm.id,
      ...root,
      volume: newId<'volume'>(),
      layer: newId<'layer'>(),
      expunge: params.expunge ?? false,
      forced: false,
    })
  },
})
