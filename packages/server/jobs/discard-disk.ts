// Removes the disk of a volume that is no more, where its hypervisor keeps the disk.
import { forestOf } from './forest-machine.ts'
import type { PoolRef } from '../drivers/driver.ts'
import type { VolumeId } from '@ramet/core/ids.ts'
import { volumeLock } from '../store/volumes.ts'
import { defineJob, nothing } from './define-job.ts'

export interface DiscardDisk {
  readonly volume: VolumeId
  readonly pool: PoolRef
}

export const discardDisk = defineJob<DiscardDisk>({
  kind: 'discard-disk',
  event: 'VOLUME.DELETE',
  doing: 'removing the disk of a volume',
  instanceType: 'Volume',
  cancellable: false,
  lock: input => volumeLock({ ...input, vm: null }),
  instance: input => input.volume,
}).act('discard', {
  do: ({ driver, input: { volume, pool } }) => forestOf(driver).devices.discardDisk({ id: volume, pool }),
  undo: nothing('the volume is gone; asking again finishes it'),
})
