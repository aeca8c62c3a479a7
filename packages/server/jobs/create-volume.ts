// Writes down that a volume was made. It has a size and no disk: that is made at its first attachment, where the machine is.
import type { VolumeId } from '@ramet/core/ids.ts'
import { moveVolume, volumeLock } from '../store/volumes.ts'
import { defineJob, nothing } from './define-job.ts'

export interface CreateVolume {
  readonly volume: VolumeId
}

export const createVolume = defineJob<CreateVolume>({
  kind: 'create-volume',
  event: 'VOLUME.CREATE',
  doing: 'creating volume',
  instanceType: 'Volume',
  cancellable: false,
  lock: input => volumeLock({ ...input, vm: null }),
  instance: input => input.volume,
}).record('publish', {
  do: async ({ tx, input }) => void (await moveVolume(tx, input.volume, 'OperationSucceeded')),
  undo: nothing('the call itself made the record'),
})
