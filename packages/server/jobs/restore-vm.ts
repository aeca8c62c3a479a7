// Makes a machine's root disk anew: from its template, from another, or empty where it was installed from an ISO. The new disk
// is whole before the machine is stopped, takes the old one's place in one transaction, and the old one is set aside only
// when nothing can fail any more: whatever happens, the machine has one of them, and a machine that ran runs again (interrupt-vm.ts). Data disks are not touched. The guest finds a
// new instance id in its seed and customises itself as at its first boot.
import type { CloneType } from '@ramet/core/clone-type.ts'
import type { DiskOfferingId, LayerId, StoragePoolId, TemplateId, VmId, VolumeId } from '@ramet/core/ids.ts'
import { demandAction, cloneTypeOf, holdVm, moveVm, vmLock } from '../store/vms.ts'
import { demandNoVmSnapshots } from '../store/vm-snapshots.ts'
import { holdRoom } from '../store/limits.ts'
import { demandSizeFits } from '../store/volume-pools.ts'
import { demandUnprotected } from '../store/volumes.ts'
import { defineJob, nothing, type RecordContext } from './define-job.ts'
import { copiesOf } from './disk-demand.ts'
import { expungeVolume } from './destroy-volume.ts'
import { interruption } from './interrupt-vm.ts'
import {
  type Before,
  exchangeRoots,
  makeRoot,
  putBack,
  reserveRoot,
  rootOf,
  setAside,
  unmakeRoot,
  unreserveRoot,
} from './restore-disk.ts'
import { templateOnPool } from './template-on-pool.ts'
import { originOf } from './tools.ts'
import { noteRunning, runMachine, stopMachine, takeHost } from './vm-steps.ts'

export interface RestoreVm {
  readonly vm: VmId
  /** The template or ISO that the machine is made from, from now on; null where nobody knows of any. */
  readonly image: TemplateId | null
  /** What the new disk is made from; null: it begins empty, and the ISO is put into the drive. */
  readonly template: TemplateId | null
  readonly rootBytes: number
  /** The offering of the new disk, where the call names one. */
  readonly diskOffering: DiskOfferingId | null
  /** The new volume, and the layer to be made for it. */
  readonly volume: VolumeId
  readonly layer: LayerId
  readonly withPassword: boolean
  /** The old disk goes at once, instead of when its time has come. */
  readonly expunge: boolean
  readonly forced: boolean
}

export const restoreVm = defineJob<RestoreVm>({
  kind: 'restore-vm',
  event: 'VM.RESTORE',
  doing: 'restoring virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: true,
  lock: input => vmLock(input.vm),
  onLayers: true,
  instance: input => input.vm,
})
  .record('begin', { do: begin, undo: giveUp })
  .actWhen('cache-template', {
    when: made => made.begin.isCopyMissing,
    do: context => templateOnPool(context, context.input.template as TemplateId, context.made.begin.pool),
    undo: nothing('other machines may stand on the copy'),
  })
  .record('reserve', {
    do: context => reserveRoot(context, planOf(context.made.begin, context.made['cache-template'])),
    undo: unreserveRoot,
  })
  .act('make-disk', {
    do: context => makeRoot(context, planOf(context.made.begin, context.made['cache-template'])),
    undo: unmakeRoot,
  })
  .record('begin-stop', interruption.begin)
  .actWhen('stop', { ...interruption.stop, do: stopMachine.do })
  .record('note-stopped', {
    do: async context => {
      if (!context.made.begin.wasRunning) return
      await interruption.note.do(context)
      await moveVm(context.tx, context.input.vm, 'RestoringRequested')
    },
    undo: async context => {
      if (!context.made.begin.wasRunning) return undefined
      await giveUp(context)
      return interruption.note.undo(context)
    },
  })
  .record('exchange', {
    do: context => exchangeRoots(context, context.made.begin.old, context.made['make-disk']),
    undo: context => putBack(context, context.made.begin),
  })
  .record('take-host', {
    do: async context => (context.made.begin.wasRunning ? takeHost.do(context) : null),
    undo: async context => {
      const { state } = await holdVm(context.tx, context.input.vm)
      if (state === 'Starting') await takeHost.undo(context)
    },
  })
  .actWhen('run', { when: made => made['take-host'] !== null, ...runMachine })
  .record('finish', {
    do: async context => {
      const { tx, input, made, jobs, job } = context
      if (made.run) await noteRunning(context, made.run)
      const old = await setAside(context, made.begin.old)
      if (input.expunge) await expungeVolume(tx, old, jobs, originOf(job))
    },
    undo: nothing('nothing follows it'),
  })
  .returning(made => made.exchange)

interface Begun {
  readonly wasRunning: boolean
  /** The volume that is to be replaced. */
  readonly old: VolumeId
  readonly before: Before
  readonly pool: StoragePoolId
  readonly cloneType: CloneType
  /** The template's layer on the pool, if it is there already. */
  readonly copy: LayerId | null
  readonly isCopyMissing: boolean
}

/** The new disk is made where the old one is, and in the way that is written down of the machine. */
async function begin({ tx, input }: RecordContext<RestoreVm, object>): Promise<Begun> {
  const vm = await holdVm(tx, input.vm)
  demandAction(vm, 'restore')
  await demandNoVmSnapshots(tx, vm.id, 'restoring it')
  const old = await rootOf(tx, vm)
  demandUnprotected(old)
  const pool = old.pool_id as StoragePoolId
  if (input.rootBytes > old.size_bytes) await demandSizeFits(tx, { pool }, input.rootBytes)
  await holdRoom(tx, vm.account_id, { primaryBytes: Math.max(0, input.rootBytes - old.size_bytes) })
  const copies = input.template ? await copiesOf(tx, input.template) : []
  const copy = copies.find(each => each.pool === pool)?.layer ?? null
  if (vm.state === 'Stopped') await moveVm(tx, vm.id, 'RestoringRequested')
  const { template_id, iso_id, password_hash, seed_version, generation_id } = vm
  return {
    wasRunning: vm.state === 'Running',
    old: old.id,
    before: { template_id, iso_id, password_hash, seed_version, generation_id },
    pool,
    cloneType: await cloneTypeOf(tx, vm.id),
    copy,
    isCopyMissing: input.template !== null && copy === null,
  }
}

async function giveUp({ tx, input }: RecordContext<RestoreVm, object>): Promise<void> {
  const { state } = await holdVm(tx, input.vm)
  if (state === 'Restoring') await moveVm(tx, input.vm, 'RestoringFailed')
}

function planOf({ pool, cloneType, copy, old }: Begun, made: LayerId | undefined) {
  return { pool, cloneType, old, base: copy ?? made ?? null }
}
