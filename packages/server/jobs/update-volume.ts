// Changes what people say about a volume: its name, whether users see it, its protection.
import type { VolumeId } from '@ramet/core/ids.ts'
import { holdVolume, setVolume } from '../store/volumes.ts'
import { defineJob, nothing } from './define-job.ts'

export interface UpdateVolume {
  readonly volume: VolumeId
  readonly set: { readonly name?: string; readonly display?: boolean; readonly delete_protection?: boolean }
}

export const updateVolume = defineJob<UpdateVolume>({
  kind: 'update-volume',
  event: 'VOLUME.UPDATE',
  doing: 'updating volume',
  instanceType: 'Volume',
  cancellable: false,
  lock: input => `volume-update:${input.volume}`, // it stands in nobody's way
  instance: input => input.volume,
}).record('update', {
  do: async ({ tx, input }) => {
    await holdVolume(tx, input.volume)
    if (Object.keys(input.set).length > 0) await setVolume(tx, input.volume, input.set)
  },
  undo: nothing('nothing follows it'),
})
