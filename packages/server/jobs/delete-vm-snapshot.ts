// Deletes a VM snapshot: its memory goes, its children hang on its parent, and its layers lose this name. What that frees is done by
// jobs of its own (remove-layer.ts), also while the machine runs; no other snapshot notices. So does its seed's. While machines are
// being made from it, it is refused.
import type { JobId, LayerId, MemoryImageId, VmId, VmSnapshotId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { holdLayer } from '../store/layers.ts'
import { forgetMemory, markMemoryRemoving, memoryRefIfAny } from '../store/memory-images.ts'
import { demandNoDeployments, retireSeeds } from '../store/vm-snapshot-seeds.ts'
import { vmLock } from '../store/vms.ts'
import {
  demandNoneAtWork,
  demandSnapshotAction,
  holdVmSnapshot,
  moveVmSnapshot,
  takeOutOfTree,
} from '../store/vm-snapshots.ts'
import { defineJob, nothing, type RecordContext } from './define-job.ts'
import { forestOf } from './forest-machine.ts'
import { removeIfUnneeded } from './remove-layer.ts'
import { originOf } from './tools.ts'

export interface DeleteVmSnapshot {
  readonly vm: VmId
  readonly snapshot: VmSnapshotId
  /** Asked for by another operation: one that is gone by then is as it should be. */
  readonly ifThere?: boolean
}

export const deleteVmSnapshot = defineJob<DeleteVmSnapshot>({
  kind: 'delete-vm-snapshot',
  event: 'VMSNAPSHOT.DELETE',
  doing: 'deleting VM snapshot',
  instanceType: 'VmSnapshot',
  cancellable: false,
  lock: input => vmLock(input.vm),
  instance: input => input.snapshot,
})
  .record('begin', {
    do: begin,
    undo: async ({ tx, input, problem, made }) => {
      const { isThere, wasReady } = (made as { begin: Begun }).begin
      // A hypervisor that keeps its own disks changes nothing of what a machine stands on.
      if (wasReady && problem?.kind === 'in-use') await moveVmSnapshot(tx, input.snapshot, 'ExpungeRefused')
      else if (isThere) await moveVmSnapshot(tx, input.snapshot, 'OperationFailed', { error: problem?.message ?? null })
    },
  })
  .actWhen('discard-memory', {
    when: made => made.begin.memory !== null,
    do: async ({ db, driver, made }) => {
      const image = made.begin.memory && (await memoryRefIfAny(db, made.begin.memory))
      if (image) await driver.memory.discard(image)
    },
    undo: nothing(
      'files that are gone do not come back; the snapshot is in Error then, and deleting it again finishes',
    ),
  })
  .actWhen('prune', {
    when: made => made.begin.isKept === true,
    do: ({ driver, input, progress, signal }) =>
      forestOf(driver).prune({ kind: 'vm-snapshot', id: input.snapshot, vm: input.vm }, { progress, signal }),
    undo: nothing('what was merged is one; the snapshot is in Error then, and deleting it again finishes'),
  })
  .record('remove', {
    do: async ({ tx, input, made, jobs, job }) => {
      if (!made.begin.isThere) return []
      if (made.begin.memory) await forgetMemory(tx, made.begin.memory)
      const layers = await takeOutOfTree(tx, await holdVmSnapshot(tx, input.snapshot))
      layers.push(...(await retireSeeds(tx, input.snapshot)))
      await moveVmSnapshot(tx, input.snapshot, 'OperationSucceeded', { removed: new Date(), is_current: false })
      const origin = { ...originOf(job), command: 'removeLayer' }
      const removals: StartedRemoval[] = []
      for (const layer of layers) {
        const removal = await removeIfUnneeded(tx, layer, jobs, origin)
        if (removal) removals.push({ job: removal, layer, bytes: (await holdLayer(tx, layer))?.allocated_bytes ?? 0 })
      }
      return removals
    },
    undo: nothing('nothing follows it'),
  })
  .returning(made => ({ removals: made.remove }))

/** The job that merges or discards a layer, and what its file held when that began. */
export interface StartedRemoval {
  readonly job: JobId
  readonly layer: LayerId
  readonly bytes: number
}

interface Begun {
  readonly isThere: boolean
  /** Absent in deletions that an earlier version began. */
  readonly wasReady?: boolean
  readonly memory: MemoryImageId | null
  /** The hypervisor keeps its disks, and is asked to. Absent in deletions that an earlier version began. */
  readonly isKept?: boolean
}

async function begin({ tx, input, driver }: RecordContext<DeleteVmSnapshot, object>): Promise<Begun> {
  const snapshot = await holdVmSnapshot(tx, input.snapshot)
  if (snapshot.removed) {
    if (input.ifThere) return { isThere: false, memory: null }
    throw new Problem('refused', 'vm-snapshot-deleted', `VM snapshot ${snapshot.display_name} has been deleted already`)
  }
  await demandNoneAtWork(tx, input.vm, snapshot.id)
  demandSnapshotAction(snapshot, 'delete')
  await demandNoDeployments(tx, input.vm, snapshot.id)
  await moveVmSnapshot(tx, snapshot.id, 'ExpungeRequested')
  if (snapshot.memory_image_id) await markMemoryRemoving(tx, snapshot.memory_image_id)
  const wasReady = snapshot.state === 'Ready'
  return { isThere: true, wasReady, memory: snapshot.memory_image_id, isKept: driver.forest !== null }
}
