// Takes a NIC from a machine, and gives its address up. A running machine's guest is asked to let go of the card first; what it does not
// release stays, and the job says so.
import type { NicId, VmId } from '@ramet/core/ids.ts'
import { recordEvent } from '../store/events.ts'
import { demandNotDefault, forgetNic, nicOfVm } from '../store/nics.ts'
import { demandNoRules } from '../store/port-forwarding.ts'
import { demandAction, holdVm, vmLock } from '../store/vms.ts'
import { demandNoVmSnapshots } from '../store/vm-snapshots.ts'
import { plugIn, pullOut } from './add-nic.ts'
import { defineJob, nothing } from './define-job.ts'

export interface RemoveNic {
  readonly vm: VmId
  readonly nic: NicId
}

export const removeNic = defineJob<RemoveNic>({
  kind: 'remove-nic',
  event: 'NIC.DELETE',
  doing: 'removing NIC from virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: true,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
})
  .record('begin', {
    do: async ({ tx, input }) => {
      const vm = await holdVm(tx, input.vm)
      demandAction(vm, 'change of its NICs')
      await demandNoVmSnapshots(tx, vm.id, 'removing a NIC')
      demandNotDefault(vm, await nicOfVm(tx, vm, input.nic))
      await demandNoRules(tx, input.nic)
    },
    undo: nothing('it only looks'),
  })
  .act('unplug', {
    do: async context => pullOut(context, context.input.nic),
    undo: async context => void (await plugIn(context, context.input.nic)),
  })
  .record('forget', {
    do: async ({ tx, input, job }) => {
      const vm = await holdVm(tx, input.vm)
      const { device_id } = await nicOfVm(tx, vm, input.nic)
      await demandNoRules(tx, input.nic) // somebody may have made one meanwhile
      await forgetNic(tx, input.nic)
      await recordEvent(tx, {
        type: 'NIC.DELETE',
        description: `deleted NIC ${device_id} of ${vm.name}`,
        account: vm.account_id,
        user: job.user_id,
        resourceType: 'Nic',
        resource: input.nic,
        startEvent: job.start_event_id,
      })
    },
    undo: nothing('nothing follows it'),
  })
