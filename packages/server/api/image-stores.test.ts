// Secondary storage as an administrator adds, changes and removes it, and what of it is used for new images.
import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { bootableCd } from '../testing/boot-cd.ts'
import { call, callJob, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { type Lab, quiet, simulatedLab } from '../testing/lab.ts'
import { aUsed, aVolume } from '../testing/volumes.ts'
import type { Answer } from './command.ts'

describe('image stores', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab()
    await chmod(lab.directory, 0o711)
    await writeFile(join(lab.directory, 'source.iso'), bootableCd('x'))
    await call(lab, 'updateConfiguration', { name: 'allow.register.local.path', value: true })
    await lab.app.settings.reload()
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const add = async (name: string) =>
    (await call(lab, 'addImageStore', { provider: 'NFS', name, url: `file://${lab.directory}/${name}` }))[
      'imagestore'
    ] as Answer
  const register = async () => {
    const [zone] = await listed(lab, 'listZones')
    const given = { name: 'cd', zoneid: String(zone?.['id']), url: `file://${lab.directory}/source.iso` }
    const [iso] = (await call(lab, 'registerIso', given))['iso'] as Answer[]
    await quiet(lab)
    return String(iso?.['id'])
  }
  const imagesIn = (name: string) => readdir(join(lab.directory, name, 'templates'))
  const onlyUsing = async (id: string) => {
    for (const store of await listed(lab, 'listImageStores'))
      await call(lab, 'updateImageStore', { id: String(store['id']), readonly: store['id'] !== id })
  }

  test('a store is added with its size, marked, and not added twice', async () => {
    const store = await add('second')
    assert.ok(Number(store['disksizetotal']) > 0 && store['readonly'] === false)
    assert.ok((await readdir(join(lab.directory, 'second'))).includes('.ramet-id'))
    await assert.rejects(add('second'), { code: 'folder-overlaps' })
    for (const url of ['nfs://host/share', 'http://host/x', 'file://relative'])
      await assert.rejects(call(lab, 'addImageStore', { provider: 'NFS', url }), /Parameter url/, url)
    await assert.rejects(call(lab, 'addImageStore', { provider: 'S3', url: 'file:///x' }), /Parameter provider/)
    await mkdir(join(lab.directory, 'taken'))
    await writeFile(join(lab.directory, 'taken/.ramet-id'), 'somebody')
    await assert.rejects(add('taken'), { code: 'folder-taken' })
    assert.equal((await listed(lab, 'listImageStores', { name: 'taken' })).length, 0)
  })

  test('new images go to a store that takes them, and a store with images stays', async () => {
    const third = await add('third')
    await onlyUsing(String(third['id']))
    const iso = await register()
    assert.deepEqual(await imagesIn('third'), [`${iso}.iso`])
    await assert.rejects(call(lab, 'deleteImageStore', { id: String(third['id']) }), {
      kind: 'in-use',
      message: /1 templates or ISOs/,
    })
    await callJob(lab, 'deleteIso', { id: iso })
    await call(lab, 'deleteImageStore', { id: String(third['id']) })
    assert.equal((await listed(lab, 'listImageStores', { name: 'third' })).length, 0)
    await assert.rejects(register(), { code: 'no-image-store' })
    assert.equal((await add('third'))['name'], 'third') // its folder may be used again
  })

  test('a store that holds an uploaded volume stays', async () => {
    const store = await add('uploads')
    const file = { image_store_id: store['id'] as never, install_path: 'volumes/x.qcow2', physical_bytes: 6 }
    const volume = await aVolume(lab, { state: 'Uploaded', format: 'QCOW2', ...file })
    const remove = () => call(lab, 'deleteImageStore', { id: String(store['id']) })
    await assert.rejects(remove(), { kind: 'in-use', message: /1 uploaded volumes/ })
    await call(lab, 'deleteVolume', { id: volume })
    await quiet(lab)
    await remove()
  })

  test('a folder in which others live is not taken', async () => {
    await mkdir(join(lab.directory, 'home'))
    await writeFile(join(lab.directory, 'home/letter'), '')
    await assert.rejects(add('home'), { code: 'folder-occupied' })
    await assert.rejects(add('vms/x'), { code: 'folder-overlaps' })
    assert.equal((await listed(lab, 'listImageStores', { name: 'home' })).length, 0)
  })

  test('a store that is not there gets nothing, and nothing is made in its place', async () => {
    const used = await aUsed(lab)
    const fourth = await add('fourth')
    await onlyUsing(String(fourth['id']))
    const [at, away] = [join(lab.directory, 'fourth'), join(lab.directory, 'away')]
    await rename(at, away)
    await mkdir(at)
    const iso = await register() // before anybody has looked
    const [failed] = await listed(lab, 'listIsos', { id: iso, isofilter: 'all' })
    assert.match(String(failed?.['status']), /^Failed: The secondary storage at .* is not there/)
    const [zone] = await listed(lab, 'listZones')
    const zoneid = String(zone?.['id'])
    const image = { zoneid, name: 'disk', format: 'QCOW2', url: 'http://192.0.2.1/disk.qcow2' }
    const uploaded = await callJob(lab, 'uploadVolume', image)
    const extracted = await callJob(lab, 'extractVolume', { zoneid, id: used, mode: 'HTTP_DOWNLOAD' })
    for (const { errortext } of [uploaded, extracted]) assert.match(String(errortext), /is not there/)
    const [failure] = await listed(lab, 'listVolumes', { name: 'disk' })
    const volume = { id: String(failure?.['id']) }
    await callJob(lab, 'destroyVolume', volume)
    const back = (await call(lab, 'recoverVolume', volume))['volume'] as Answer
    assert.equal(back['state'], 'UploadError', 'it has no file, so it never becomes a disk')
    assert.deepEqual(await readdir(at), [])
    await lab.restart()
    assert.match(String((await listed(lab, 'listImageStores', { name: 'fourth' }))[0]?.['error']), /is not there/)
    await assert.rejects(register(), { code: 'no-image-store' })
  })
})
