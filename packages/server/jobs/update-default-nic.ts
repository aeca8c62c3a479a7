// Makes another NIC of a machine its default one: the one whose address and SSH port the machine is shown with, and the last to go.
import type { NicId, VmId } from '@ramet/core/ids.ts'
import { nicOfVm, setDefaultNic } from '../store/nics.ts'
import { demandAction, holdVm, vmLock } from '../store/vms.ts'
import { demandNoVmSnapshots } from '../store/vm-snapshots.ts'
import { defineJob, nothing } from './define-job.ts'

export interface UpdateDefaultNic {
  readonly vm: VmId
  readonly nic: NicId
}

export const updateDefaultNic = defineJob<UpdateDefaultNic>({
  kind: 'update-default-nic',
  event: 'NIC.UPDATE',
  doing: 'updating default NIC of virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: false,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
}).record('change', {
  do: async ({ tx, input }) => {
    const vm = await holdVm(tx, input.vm)
    demandAction(vm, 'change of its NICs')
    await demandNoVmSnapshots(tx, vm.id, 'another default NIC')
    const nic = await nicOfVm(tx, vm, input.nic)
    await setDefaultNic(tx, nic)
  },
  undo: nothing('one transaction, and nothing follows it'),
})
