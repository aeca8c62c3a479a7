// How each job on volumes is brought about, and what its failure must leave (jobs.test.ts).
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { dirname } from 'node:path'
import { newId, type VolumeId } from '@ramet/core/ids.ts'
import { type Lab, quiet } from '../testing/lab.ts'
import { aLooseRoot, aMachine, anAttached, aRemotePool, aUsed, aVolume, done } from '../testing/volumes.ts'
import { attachVolume } from './attach-volume.ts'
import { createVolume } from './create-volume.ts'
import { destroyVolume } from './destroy-volume.ts'
import { detachVolume } from './detach-volume.ts'
import { discardUpload } from './discard-upload.ts'
import { extractVolume } from './extract-volume.ts'
import { migrateVolume } from './migrate-volume.ts'
import { removeLayer } from './remove-layer.ts'
import { resizeVolume } from './resize-volume.ts'
import { scenario, type Scenario } from './scenario.ts'
import { updateVolume } from './update-volume.ts'
import { uploadVolume } from './upload-volume.ts'

export const volumeScenarios: readonly Scenario[] = [
  scenario(attachVolume, async lab => attachmentOf(lab, await aVolume(lab), 'Running'), 'restores'),
  {
    ...scenario(attachVolume, async lab => attachmentOf(lab, await aUsed(lab), 'Stopped'), 'restores'),
    steps: ['begin', 'plug'],
  },
  {
    ...scenario(attachVolume, async lab => attachmentOf(lab, await anUploaded(lab), 'Running'), 'restores'),
    steps: ['make-disk'],
  },
  scenario(detachVolume, lab => anAttached(lab, 'Running'), 'restores'),
  scenario(resizeVolume, async lab => ({ ...(await anAttached(lab, 'Running')), ...larger }), 'restores'),
  {
    ...scenario(resizeVolume, async lab => ({ volume: await aUsed(lab), vm: null, ...larger }), 'restores'),
    steps: ['resize'],
  },
  scenario(createVolume, async lab => ({ volume: await aVolume(lab) }), 'restores'),
  scenario(updateVolume, async lab => ({ volume: await aVolume(lab), set: { name: 'other' } }), 'restores'),
  scenario(destroyVolume, async lab => ({ volume: await aUsed(lab), expunge: true }), 'restores'),
  scenario(extractVolume, anExtraction, 'restores'),
  scenario(discardUpload, async lab => ({ volume: await aVolume(lab), file: `${lab.directory}/upload` }), 'again'),
  {
    ...scenario(migrateVolume, async lab => migrationOf(lab, await aUsed(lab)), 'restores'),
    steps: migrateVolume.steps.map(({ name }) => name).filter(name => name !== 'cache-template'),
  },
  {
    ...scenario(migrateVolume, async lab => migrationOf(lab, await aLooseRoot(lab)), forgetCopies),
    steps: ['cache-template', 'copy'],
  },
  scenario(uploadVolume, anUpload, async (lab, { volume }) => {
    const row = await lab.app.db.selectFrom('volume').selectAll().where('id', '=', volume).executeTakeFirstOrThrow()
    assert.match(row.error ?? '', /made to fail/)
    await lab.app.db
      .updateTable('volume')
      .set({ state: 'NotUploaded' })
      .where('id', '=', volume)
      .where('state', '=', 'UploadError')
      .execute()
  }),
]

const larger = { bytes: 2 ** 31, shrinkOk: false, offering: null }

async function attachmentOf(lab: Lab, volume: VolumeId, state: 'Running' | 'Stopped') {
  const { vm } = await aMachine(lab, state)
  return { volume, vm, deviceId: null, layer: newId<'layer'>() }
}

async function migrationOf(lab: Lab, volume: VolumeId) {
  return { volume, vm: null, pool: await aRemotePool(lab), layer: newId<'layer'>() }
}

async function storeOf(lab: Lab) {
  return lab.app.db.selectFrom('image_store').selectAll().executeTakeFirstOrThrow()
}

async function anExtraction(lab: Lab) {
  const [volume, store] = [await aUsed(lab), await storeOf(lab)]
  const ticket = { id: newId<'download'>(), tokenHash: newId(), sealedToken: 'sealed', seconds: 60 }
  return { volume, vm: null, ticket, fileName: 'disk.qcow2', file: `${store.path}/downloads/${newId()}.qcow2` }
}

async function anUploaded(lab: Lab): Promise<VolumeId> {
  const store = await storeOf(lab)
  const install_path = `volumes/${newId()}.qcow2`
  await mkdir(dirname(`${store.path}/${install_path}`), { recursive: true })
  await writeFile(`${store.path}/${install_path}`, 'a disk')
  const file = { image_store_id: store.id, install_path, format: 'QCOW2', physical_bytes: 6 } as const
  return aVolume(lab, { state: 'Uploaded', ...file })
}

/** An upload, and somebody who answers at its address for as long as the test's process lives. */
async function anUpload(lab: Lab) {
  const store = await storeOf(lab)
  await lab.app.db
    .insertInto('configuration')
    .values({ name: 'allow.register.private.address', value: 'true' })
    .onConflict(conflict => conflict.doNothing())
    .execute()
  const server = createServer((_, reply) => reply.end('a disk')).unref()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const file = { image_store_id: store.id, install_path: `volumes/${newId()}.qcow2`, format: 'QCOW2' } as const
  const volume = await aVolume(lab, { state: 'NotUploaded', size_bytes: 0, ...file })
  return { volume, url: `http://127.0.0.1:${port}/disk`, format: 'qcow2' as const, checksum: null }
}

/** The template's copy on the other pool stays, for whoever comes next; here nobody does. */
async function forgetCopies(lab: Lab, { pool }: { pool: Awaited<ReturnType<typeof aRemotePool>> }): Promise<void> {
  const copies = await lab.app.db
    .updateTable('template_spool_ref')
    .set({ marked_for_gc: true })
    .where('pool_id', '=', pool)
    .returning('layer_id')
    .execute()
  for (const { layer_id } of copies) if (layer_id) await done(lab, removeLayer, { layer: layer_id })
  await lab.app.db.deleteFrom('template_spool_ref').where('pool_id', '=', pool).execute()
  await quiet(lab)
}
