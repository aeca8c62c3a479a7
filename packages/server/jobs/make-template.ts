// Makes a template: of a volume that nobody writes, of a volume's snapshot, or of a disk as a VM snapshot has it. The file is made on
// secondary storage, examined like one that came from elsewhere, and only then a template.
import type { SnapshotId, TemplateId } from '@ramet/core/ids.ts'
import { pathToFileURL } from 'node:url'
import type { RecordContext, StepContext } from './define-job.ts'
import { copyImage, discardImage } from '../images/fetch.ts'
import { requireStore } from '../images/store.ts'
import { storeOfImage } from '../store/image-stores.ts'
import type { LayerChain } from '../drivers/driver.ts'
import type { Db } from '../store/database.ts'
import { layerChain } from '../store/layers.ts'
import { holdRoom } from '../store/limits.ts'
import { snapshotFile, usableSnapshot } from '../store/snapshots.ts'
import { imageFile, setTemplate } from '../store/templates.ts'
import { demandAction, holdVm } from '../store/vms.ts'
import { type DiskThen, diskThen, usableVmSnapshot } from '../store/vm-snapshots.ts'
import { demandLoose, holdVolumeAsAsked, type OnVolume, volumeLock, wrongVolumeState } from '../store/volumes.ts'
import { defineJob, nothing } from './define-job.ts'
import { snapshotLock } from './delete-snapshot.ts'
import { diskOf, ownerOf } from './machine-spec.ts'

export interface MakeTemplate {
  readonly template: TemplateId
  readonly source: OnVolume | { readonly snapshot: SnapshotId } | DiskThen
}

export const makeTemplate = defineJob<MakeTemplate>({
  kind: 'make-template',
  event: 'TEMPLATE.CREATE',
  doing: 'making template',
  instanceType: 'Template',
  cancellable: true,
  lock: ({ source }) => ('snapshot' in source ? snapshotLock(source.snapshot) : volumeLock(source)),
  onLayers: true,
  instance: input => input.template,
})
  .record('begin', {
    do: begin,
    undo: async ({ tx, input, problem }) =>
      setTemplate(tx, input.template, { download_state: 'DOWNLOAD_ERROR', error: problem?.message ?? null }),
  })
  .act('copy', {
    do: copy,
    undo: async ({ db, input }) => discardImage((await imageFile(db, input.template)).file),
  })
  .act('inspect', {
    do: async ({ db, driver, settings, input }) => {
      const { file, format } = await imageFile(db, input.template)
      return driver.images.inspect(file, format, limitOf(settings))
    },
    undo: nothing('it only reads'),
  })
  .record('publish', {
    do: async ({ tx, input, made }) => {
      const { virtualBytes, allocatedBytes } = made.inspect
      const { account_id } = await tx
        .selectFrom('template')
        .select('account_id')
        .where('id', '=', input.template)
        .executeTakeFirstOrThrow()
      await holdRoom(tx, account_id, { secondaryBytes: allocatedBytes })
      const facts = { virtual_bytes: virtualBytes, physical_bytes: allocatedBytes }
      await setTemplate(tx, input.template, { ...facts, download_state: 'DOWNLOADED', download_percent: 100 })
    },
    undo: nothing('nothing follows it'),
  })
  .whenItFails(async ({ tx, input, problem }) =>
    setTemplate(tx, input.template, { download_state: 'DOWNLOAD_ERROR', error: problem?.message ?? null }),
  )

function limitOf(settings: StepContext<MakeTemplate, object>['settings']): number {
  return settings.number('max.template.iso.size') * 2 ** 30
}

async function begin({ tx, input: { template, source }, job }: RecordContext<MakeTemplate, object>): Promise<void> {
  await setTemplate(tx, template, { download_state: 'DOWNLOAD_IN_PROGRESS', error: null })
  if ('snapshot' in source) {
    await usableSnapshot(tx, source.snapshot)
    return
  }
  if ('vmSnapshot' in source) {
    await usableVmSnapshot(tx, source.vmSnapshot)
    await diskThen(tx, source)
    return
  }
  const vm = source.vm && (await holdVm(tx, source.vm))
  const volume = await holdVolumeAsAsked(tx, source)
  if (vm) demandAction(vm, 'making a template of its disks')
  else await demandLoose(tx, volume, job.id)
  if (volume.state !== 'Ready') throw wrongVolumeState(volume, 'making a template of it')
}

async function copy({
  db,
  driver,
  settings,
  input,
  progress,
  signal,
}: StepContext<MakeTemplate, object>): Promise<void> {
  await requireStore(await storeOfImage(db, input.template))
  const { file } = await imageFile(db, input.template)
  if ('snapshot' in input.source) {
    const from = pathToFileURL((await snapshotFile(db, input.source.snapshot)).file).href
    await copyImage(from, file, null, { maxBytes: limitOf(settings), allowPrivate: true }, signal)
  } else {
    const chain = await chainOf(db, input.source)
    await driver.layers.export(chain, file, await ownerOf(db, input.source.volume), progress, signal)
  }
}

async function chainOf(db: Db, source: OnVolume | DiskThen): Promise<LayerChain> {
  if (!('vmSnapshot' in source)) return (await diskOf(db, source.volume)).chain
  return layerChain(db, (await diskThen(db, source)).layer_id)
}
