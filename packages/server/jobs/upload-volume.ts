// Brings a volume from a URL to secondary storage: fetch it, let the driver find out what it really is, and only then call it
// uploaded. Its first attachment makes a disk of it. A file that cannot be a volume is not kept, only the reason.
import type { VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { ImageFacts } from '../drivers/driver.ts'
import { discardImage, fetchImage } from '../images/fetch.ts'
import type { Settings } from '../settings.ts'
import type { Db } from '../store/database.ts'
import { holdRoom } from '../store/limits.ts'
import { demandSizeFits } from '../store/volume-pools.ts'
import { holdVolume, moveVolume, setVolume, uploadedFile, volumeLock } from '../store/volumes.ts'
import { defineJob, nothing } from './define-job.ts'
import { requireStoreOf } from './store-of-file.ts'

export interface UploadVolume {
  readonly volume: VolumeId
  readonly url: string
  readonly format: ImageFacts['format']
  /** `{SHA-256}hex`, or a bare MD5. */
  readonly checksum: string | null
}

export const uploadVolume = defineJob<UploadVolume>({
  kind: 'upload-volume',
  event: 'VOLUME.UPLOAD',
  doing: 'uploading volume',
  instanceType: 'Volume',
  cancellable: true,
  lock: input => volumeLock({ ...input, vm: null }),
  instance: input => input.volume,
})
  .record('begin', {
    do: async ({ tx, input }) => void (await moveVolume(tx, input.volume, 'UploadRequested')),
    undo: nothing('the end of the job says why it failed'),
  })
  .act('fetch', {
    do: async ({ db, settings, input, progress, signal }) => {
      const file = await fileOf(db, input.volume)
      await requireStoreOf(db, file)
      await fetchImage(input.url, file, input.checksum, limitsOf(settings), progress, signal)
    },
    undo: async ({ db, input }) => discardImage(await fileOf(db, input.volume)),
  })
  .act('inspect', {
    do: async ({ db, driver, settings, input }) =>
      driver.images.inspect(await fileOf(db, input.volume), input.format, limitsOf(settings).maxBytes),
    undo: nothing('it only reads'),
  })
  .record('publish', {
    do: async ({ tx, input, made }) => {
      const { virtualBytes, allocatedBytes } = made.inspect
      const { account_id, zone_id } = await holdVolume(tx, input.volume)
      await demandSizeFits(tx, { zone: zone_id }, virtualBytes)
      await holdRoom(tx, account_id, { primaryBytes: virtualBytes, secondaryBytes: allocatedBytes })
      await moveVolume(tx, input.volume, 'OperationSucceeded', {
        size_bytes: virtualBytes,
        physical_bytes: allocatedBytes,
        error: null,
      })
    },
    undo: nothing('nothing follows it'),
  })
  .whenItFails(async ({ tx, input, problem }) => {
    await moveVolume(tx, input.volume, 'OperationFailed', { error: problem?.message ?? null })
    await setVolume(tx, input.volume, { image_store_id: null, install_path: null })
  })

/** Uploads are held to what is allowed of templates. */
function limitsOf(settings: Settings) {
  return {
    maxBytes: settings.number('max.template.iso.size') * 2 ** 30,
    allowPrivate: settings.flag('allow.register.private.address'),
  }
}

async function fileOf(db: Db, volume: VolumeId): Promise<string> {
  const file = await uploadedFile(db, volume)
  if (!file) throw new Problem('unavailable', 'upload-missing', `Volume ${volume} has no place for its file any more`)
  return file
}
