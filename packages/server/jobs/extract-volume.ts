// Offers a volume for download: a copy of what it shows, as one file on secondary storage, until the offer expires. The disk must
// stand still meanwhile, so its machine is stopped, or it has none.
import { rm } from 'node:fs/promises'
import { endOffers, type NewDownload, offerDownload } from '../store/downloads.ts'
import { demandAction, holdVm } from '../store/vms.ts'
import { demandLoose, holdVolumeAsAsked, type OnVolume, volumeLock, wrongVolumeState } from '../store/volumes.ts'
import { defineJob, nothing } from './define-job.ts'
import { diskOf, ownerOf } from './machine-spec.ts'
import { requireStoreOf } from './store-of-file.ts'

export interface ExtractVolume extends OnVolume {
  readonly ticket: Pick<NewDownload, 'id' | 'tokenHash' | 'seconds'> & { readonly sealedToken: string }
  readonly fileName: string
  /** Where the copy is made; absolute, its name beginning with the volume’s id. */
  readonly file: string
}

export const extractVolume = defineJob<ExtractVolume>({
  kind: 'extract-volume',
  event: 'VOLUME.EXTRACT',
  doing: 'extracting volume',
  instanceType: 'Volume',
  cancellable: true,
  lock: volumeLock,
  onLayers: true,
  instance: input => input.volume,
})
  .record('begin', {
    do: async ({ tx, input, job }) => {
      const vm = input.vm && (await holdVm(tx, input.vm))
      if (vm) demandAction(vm, 'download of its disks')
      const volume = await holdVolumeAsAsked(tx, input)
      if (!vm) await demandLoose(tx, volume, job.id)
      if (volume.state !== 'Ready') throw wrongVolumeState(volume, 'extracting it')
    },
    undo: nothing('it only looks'),
  })
  .act('export', {
    do: async ({ db, driver, input, progress, signal }) => {
      const { chain } = await diskOf(db, input.volume)
      await requireStoreOf(db, input.file)
      await driver.layers.export(chain, input.file, await ownerOf(db, input.volume), progress, signal)
    },
    undo: async ({ input }) => {
      for (const each of [input.file, `${input.file}.part`]) await rm(each, { force: true })
    },
  })
  .record('offer', {
    do: async ({ tx, input, job }) => {
      const { id, tokenHash, seconds } = input.ticket
      const { file, fileName } = input
      await endOffers(tx, job.account_id, input.volume) // one copy at a time: nobody fills the storage with them
      await offerDownload(tx, { id, tokenHash, seconds, account: job.account_id, file, fileName, isTemporary: true })
    },
    undo: nothing('nothing follows it'),
  })
