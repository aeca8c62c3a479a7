// Makes another NIC of a machine its default one: the one whose address and SSH port the machine is shown with, by which its guest sends, and the
// last to go. A guest that runs is told when it next asks for its addresses.
import type { NicId, VmId } from '@ramet/core/ids.ts'
import { defaultNicOf, nicOfVm, setDefaultNic } from '../store/nics.ts'
import { demandAction, holdVm, nicsOf, vmLock } from '../store/vms.ts'
import { demandNoVmSnapshots } from '../store/vm-snapshots.ts'
import { defineJob, nothing, type RecordContext, type StepContext } from './define-job.ts'

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
})
  .record('look', { do: look, undo: nothing('it changes nothing') })
  .actWhen('tell', {
    when: made => made.look.isRunning,
    do: async context => tell(context, context.input.nic),
    undo: async context => tell(context, context.made.look.former),
  })
  .record('change', {
    do: async ({ tx, input }) => setDefaultNic(tx, { id: input.nic, vm_id: input.vm }),
    undo: nothing('nothing follows it'),
  })
  .returning(made => ({ outcome: made.look.isRunning ? laterKnown : '' }))

const laterKnown = 'the guest learns of it when it renews its lease, within six hours, or starts'

async function look({ tx, input, driver }: RecordContext<UpdateDefaultNic, object>) {
  const vm = await holdVm(tx, input.vm)
  demandAction(vm, 'change of its NICs')
  await demandNoVmSnapshots(tx, vm.id, 'another default NIC')
  await nicOfVm(tx, vm, input.nic)
  // Elsewhere its guest is told by nobody of ours.
  return {
    former: await defaultNicOf(tx, vm.id),
    isRunning: vm.state === 'Running' && driver.capabilities.disks === 'layers',
  }
}

/** The networks of a hypervisor that has some. */
async function tell({ db, driver, input }: StepContext<UpdateDefaultNic, object>, chosen: NicId): Promise<void> {
  if (!driver.capabilities.networks) return
  for (const { id, network_id, is_segment } of await nicsOf(db, input.vm))
    if (is_segment) await driver.networks.setDefault(network_id, id, id === chosen)
}
