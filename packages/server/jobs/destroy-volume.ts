// Sets a detached volume aside, from where recoverVolume brings it back; or removes it for good.
import type { VolumeId } from '@ramet/core/ids.ts'
import type { Tx } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import { demandLoose, demandUnprotected, holdVolume, moveVolume, type Volume, volumeLock } from '../store/volumes.ts'
import { poolById } from '../store/pools.ts'
import { defineJob, nothing } from './define-job.ts'
import { discardDisk } from './discard-disk.ts'
import { letGoOfUpload } from './discard-upload.ts'
import { removeIfUnneeded } from './remove-layer.ts'
import { type JobOrigin, type JobStarter, originOf } from './tools.ts'

export interface DestroyVolume {
  readonly volume: VolumeId
  readonly expunge: boolean
}

export const destroyVolume = defineJob<DestroyVolume>({
  kind: 'destroy-volume',
  event: 'VOLUME.DESTROY',
  doing: 'destroying volume',
  instanceType: 'Volume',
  cancellable: false,
  lock: input => volumeLock({ ...input, vm: null }),
  instance: input => input.volume,
}).record('destroy', {
  do: async ({ tx, input, jobs, job }) => {
    const volume = await holdVolume(tx, input.volume)
    await demandLoose(tx, volume, job.id)
    demandUnprotected(volume)
    await moveVolume(tx, volume.id, 'DestroyRequested', { destroyed: volume.destroyed ?? new Date() })
    if (input.expunge) await expungeVolume(tx, volume, jobs, originOf(job))
  },
  undo: nothing('nothing follows it'),
})

/** Ends a volume that is set aside: its record at once, its disk and its uploaded file by jobs that follow. */
export async function expungeVolume(tx: Tx, volume: Volume, jobs: JobStarter, origin: JobOrigin): Promise<void> {
  await letGoOfUpload(tx, volume, jobs, origin)
  await moveVolume(tx, volume.id, 'ExpungingRequested', { removed: new Date(), layer_id: null })
  if (volume.layer_id) await removeIfUnneeded(tx, volume.layer_id, jobs, { ...origin, command: 'removeLayer' })
  const pool = volume.disk_key !== volume.id || !volume.pool_id ? undefined : await poolById(tx, volume.pool_id)
  if (pool)
    await jobs.start(
      tx,
      discardDisk,
      { volume: volume.id, pool: { id: pool.id, path: pool.path } },
      { ...origin, command: 'deleteVolume' },
    )
  await recordEvent(tx, {
    type: 'VOLUME.DELETE',
    description: `deleted volume ${volume.name}`,
    account: volume.account_id,
    user: origin.user,
    resourceType: 'Volume',
    resource: volume.id,
  })
}
