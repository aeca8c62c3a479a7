// Changes what a stopped machine is: its offering, its password, its SSH keys, its affinity groups. All of it is a matter of
// the record; the machine has it from its next start. Passwords and keys reach the guest by the seed of a new instance id,
// which makes it customise itself anew.
import type { AffinityGroupId, ServiceOfferingId, VmId } from '@ramet/core/ids.ts'
import type { Sizes } from '@ramet/core/offering.ts'
import type { VmAction } from '@ramet/core/vm.ts'
import type { GuestPassword } from '../passwords.ts'
import { setAffinities } from '../store/affinity.ts'
import type { Tx } from '../store/database.ts'
import { demandAction, holdVm, setVm, type Vm, vmLock } from '../store/vms.ts'
import { demandNoneAtWork, demandNoVmSnapshots, vmSnapshotsOf } from '../store/vm-snapshots.ts'
import { setKeys, setOffering, type VmKey } from '../store/vm-changes.ts'
import { defineJob, nothing, type RecordContext } from './define-job.ts'
import { deleteVmSnapshot } from './delete-vm-snapshot.ts'
import { originOf } from './tools.ts'

export type VmChange =
  | { readonly to: 'offering'; readonly offering: ServiceOfferingId; readonly sizes: Sizes }
  | { readonly to: 'password'; readonly password: GuestPassword }
  | { readonly to: 'keys'; readonly keys: readonly VmKey[] }
  | { readonly to: 'affinities'; readonly groups: readonly AffinityGroupId[] }

export interface ChangeVm {
  readonly vm: VmId
  readonly change: VmChange
}

const events = {
  offering: 'VM.UPGRADE',
  password: 'VM.RESETPASSWORD',
  keys: 'VM.RESETSSHKEY',
  affinities: 'VM.AFFINITYGROUP.UPDATE',
} as const satisfies Record<VmChange['to'], string>

export const actionOfChange = {
  offering: 'scale',
  password: 'resetpassword',
  keys: 'resetsshkey',
  affinities: 'regroup',
} as const satisfies Record<VmChange['to'], VmAction>

export const changeVm = defineJob<ChangeVm>({
  kind: 'change-vm',
  event: input => events[input.change.to],
  doing: 'changing virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: false,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
})
  .record('change', {
    do: async context => {
      const { tx, input } = context
      const { vm: id, change } = input
      const vm = await holdVm(tx, id)
      demandAction(vm, actionOfChange[change.to])
      if (change.to === 'offering') await heedSnapshots(context, vm)
      await make(tx, vm, change)
      return change.to === 'password' ? { sealedpassword: change.password.sealed } : {}
    },
    undo: nothing('one transaction, and nothing follows it'),
  })
  .returning(made => made.change)

/** Memory fits a machine of its own sizes only: what becomes of such VM snapshots, a setting says. */
async function heedSnapshots({ tx, settings, jobs, job }: RecordContext<ChangeVm, object>, vm: Vm): Promise<void> {
  const rule = settings.text('vmsnapshot.offering.change')
  if (rule === 'refuse') await demandNoVmSnapshots(tx, vm.id, 'another service offering')
  await demandNoneAtWork(tx, vm.id)
  if (rule !== 'discard') return
  const origin = { ...originOf(job), command: 'deleteVMSnapshot' }
  for (const { id, type } of await vmSnapshotsOf(tx, vm.id))
    if (type === 'DiskAndMemory')
      await jobs.start(tx, deleteVmSnapshot, { vm: vm.id, snapshot: id, ifThere: true }, origin)
}

async function make(tx: Tx, vm: Vm, change: VmChange): Promise<void> {
  if (change.to === 'offering') await setOffering(tx, vm, change.offering, change.sizes)
  else if (change.to === 'affinities') await setAffinities(tx, vm.id, change.groups)
  else {
    if (change.to === 'keys') await setKeys(tx, vm.id, change.keys)
    const password = change.to === 'password' ? { password_hash: change.password.hash } : {}
    await setVm(tx, vm.id, { ...password, seed_version: vm.seed_version + 1 })
  }
}
