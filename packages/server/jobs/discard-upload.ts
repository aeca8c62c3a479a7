// Removes the uploaded file of a volume that needs it no more: its disk is made, or it is gone.
import type { VolumeId } from '@ramet/core/ids.ts'
import { discardImage } from '../images/fetch.ts'
import type { Tx } from '../store/database.ts'
import { setVolume, type Volume } from '../store/volumes.ts'
import { defineJob, nothing } from './define-job.ts'
import type { JobOrigin, JobStarter } from './tools.ts'

export interface DiscardUpload {
  readonly volume: VolumeId
  readonly file: string
}

export const discardUpload = defineJob<DiscardUpload>({
  kind: 'discard-upload',
  event: 'VOLUME.UPLOAD.DELETE',
  doing: 'removing the uploaded file of a volume',
  instanceType: 'Volume',
  cancellable: false,
  lock: input => `upload:${input.volume}`,
  instance: input => input.volume,
}).act('discard', {
  do: async ({ input }) => discardImage(input.file),
  undo: nothing('a deleted file cannot be brought back, and nobody asks for it'),
})

/** Takes the uploaded file off the volume's record, and has it removed; a volume without one is left alone. */
export async function letGoOfUpload(tx: Tx, volume: Volume, jobs: JobStarter, origin: JobOrigin): Promise<void> {
  const store = await tx
    .selectFrom('image_store')
    .select('path')
    .where('id', '=', volume.image_store_id)
    .executeTakeFirst()
  if (!store || !volume.install_path) return
  await setVolume(tx, volume.id, { image_store_id: null, install_path: null, format: null, physical_bytes: null })
  const file = `${store.path}/${volume.install_path}`
  await jobs.start(tx, discardUpload, { volume: volume.id, file }, { ...origin, command: 'discardUpload' })
}
