// Deletes a volume snapshot: its file on secondary storage, then its record. Nothing stands on it.
import type { SnapshotId } from '@ramet/core/ids.ts'
import { discardImage } from '../images/fetch.ts'
import { requireStore } from '../images/store.ts'
import { moveSnapshot, snapshotFile } from '../store/snapshots.ts'
import { defineJob, nothing } from './define-job.ts'

export interface DeleteSnapshot {
  readonly snapshot: SnapshotId
}

const noWayBack = nothing('a file that is gone does not come back; deleting it again finishes')

export function snapshotLock(snapshot: SnapshotId): string {
  return `snapshot:${snapshot}`
}

export const deleteSnapshot = defineJob<DeleteSnapshot>({
  kind: 'delete-snapshot',
  event: 'SNAPSHOT.DELETE',
  doing: 'deleting snapshot of volume',
  instanceType: 'Snapshot',
  cancellable: false,
  lock: input => snapshotLock(input.snapshot),
  instance: input => input.snapshot,
})
  .record('begin', {
    do: async ({ tx, input }) => void (await moveSnapshot(tx, input.snapshot, 'DestroyRequested')),
    undo: noWayBack,
  })
  .act('discard', {
    do: async ({ db, input }) => {
      const { file, store } = await snapshotFile(db, input.snapshot)
      await requireStore(store)
      await discardImage(file)
    },
    undo: noWayBack,
  })
  .record('forget', {
    do: async ({ tx, input }) =>
      void (await moveSnapshot(tx, input.snapshot, 'OperationSucceeded', { removed: new Date() })),
    undo: noWayBack,
  })
