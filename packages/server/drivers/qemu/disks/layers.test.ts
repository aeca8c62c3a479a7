// Layers on real files: what we write ourselves is compared with what qemu-img says of it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { open, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { newId } from '@ramet/core/ids.ts'
import { anOwner } from '../../contract.ts'
import type { LayerRef } from '../../driver.ts'
import { aQemuDriver } from '../a-driver.ts'
import type { QemuUnderTest } from '../a-driver.ts'
import { layerFile, startPart, writeEmpty } from './layer-files.ts'
import { defaultUidBase } from '../options.ts'

const run = promisify(execFile)
const never = new AbortController().signal
const quiet = () => {}
const mib = 2 ** 20

describe('layers on QEMU', () => {
  let made: QemuUnderTest
  const aLayer = (): LayerRef => ({ pool: made.pool, id: newId<'layer'>() })
  const asRoot = process.getuid?.() === 0

  /** 8 MiB that can be told from anything else, as a first layer. */
  async function aBase(): Promise<LayerRef> {
    const raw = join(made.folder, 'raw')
    await writeFile(raw, Buffer.alloc(8 * mib, 'ramet'))
    const base = aLayer()
    await made.driver.layers.seed(base, raw, 'raw', null, quiet, never)
    return base
  }

  before(async () => {
    made = await aQemuDriver()
    await made.driver.pools.prepare(made.pool)
  })
  after(() => made.dispose())

  for (const virtualBytes of [512, 8 * mib, 8 * mib + 512, 2 ** 40, 5 * 2 ** 40]) {
    test(`an overlay of ${virtualBytes} bytes is sound and shows its base`, async () => {
      const base = aLayer()
      await made.driver.layers.blank(base, 512, anOwner)
      const layer = aLayer()
      const { allocatedBytes } = await made.driver.layers.fork(layer, [base], virtualBytes, anOwner)
      const file = layerFile(layer)
      await run('qemu-img', ['check', '-q', file])
      const info = JSON.parse((await run('qemu-img', ['info', '--output=json', file])).stdout)
      assert.equal(info['virtual-size'], virtualBytes)
      assert.equal(info['full-backing-filename'], layerFile(base))
      assert.equal(info['backing-filename-format'], 'qcow2')
      assert.equal(info['format-specific'].data['lazy-refcounts'], false)
      assert.ok(allocatedBytes <= 256 * 1024)
    })
  }

  test('an overlay reads as its base, and its base is not changed by writing to it', async () => {
    const [base, layer] = [await aBase(), aLayer()]
    await made.driver.layers.fork(layer, [base], 8 * mib, anOwner)
    await run('qemu-img', ['compare', layerFile(base), layerFile(layer)])
    const earlier = await run('sha256sum', [layerFile(base)])
    await run('qemu-io', ['-c', 'write -P 7 0 1M', layerFile(layer)])
    await assert.rejects(run('qemu-img', ['compare', layerFile(base), layerFile(layer)]))
    await run('qemu-img', ['check', '-q', layerFile(layer)])
    assert.deepEqual(await run('sha256sum', [layerFile(base)]), earlier)
  })

  test('a copy of a chain holds what the chain shows, and nothing stands behind it', async () => {
    const [base, layer, copy] = [await aBase(), aLayer(), aLayer()]
    await made.driver.layers.fork(layer, [base], 8 * mib, anOwner)
    await run('qemu-io', ['-c', 'write -P 7 64k 1M', layerFile(layer)])
    const seen: number[] = []
    await made.driver.layers.copy(copy, [base, layer], 16 * mib, anOwner, percent => seen.push(percent), never)
    const { stdout } = await run('qemu-img', ['compare', layerFile(layer), layerFile(copy)])
    assert.match(stdout, /identical/)
    assert.equal(seen.at(-1), 100)
    const info = JSON.parse((await run('qemu-img', ['info', '--output=json', layerFile(copy)])).stdout)
    assert.equal(info['backing-filename'], undefined)
    assert.equal(info['virtual-size'], 16 * mib)
  })

  test('a backing file that was written into a header is not followed', async () => {
    const [base, layer, copy] = [await aBase(), aLayer(), aLayer()]
    await made.driver.layers.fork(layer, [base], 8 * mib, anOwner)
    await run('qemu-img', ['rebase', '-u', '-F', 'raw', '-b', '/etc/passwd', layerFile(layer)])
    await made.driver.layers.copy(copy, [base, layer], 8 * mib, anOwner, quiet, never)
    assert.match((await run('qemu-img', ['compare', layerFile(base), layerFile(copy)])).stdout, /identical/)
  })

  test('a copy of a disk that is being written is refused and leaves nothing', { timeout: 20_000 }, async () => {
    const [base, copy] = [aLayer(), aLayer()]
    await made.driver.layers.blank(base, 8 * mib, anOwner)
    const writer = execFile('qemu-io', ['-c', 'sleep 5000', layerFile(base)])
    try {
      await made.driver.layers.fork(copy, [base], 8 * mib, anOwner).then(() => made.driver.layers.discard(copy))
      while (!(await isOpen(base))) await new Promise(resolve => setTimeout(resolve, 10))
      const refused = made.driver.layers.copy(copy, [base], 16 * mib, anOwner, quiet, never)
      await assert.rejects(refused, { kind: 'in-use', code: 'layer-in-use' })
      assert.equal(await made.driver.layers.facts(copy), null)
    } finally {
      writer.kill('SIGKILL')
    }
  })

  async function isOpen(layer: LayerRef): Promise<boolean> {
    const { ino } = await stat(layerFile(layer))
    return (await run('cat', ['/proc/locks'])).stdout.includes(`:${ino} `)
  }

  test('an abort ends a copy half-way, and its file', async () => {
    const [base, copy] = [aLayer(), aLayer()]
    await made.driver.layers.blank(base, 1024 * mib, anOwner)
    await run('qemu-io', ['-c', 'write -P 9 0 512M', layerFile(base)])
    const abort = new AbortController()
    const aborted = made.driver.layers.copy(copy, [base], 2048 * mib, anOwner, () => abort.abort(), abort.signal)
    await assert.rejects(aborted, { kind: 'cancelled' })
    assert.deepEqual(
      (await readdir(join(made.pool.path, 'layers'))).filter(name => name.startsWith(copy.id)),
      [],
    )
  })

  test('a full pool is told as such, and nothing half-made is left', { skip: !asRoot }, async () => {
    const path = join(made.folder, 'small')
    await run('mkdir', [path])
    await run('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', path])
    try {
      const pool = { id: newId<'storage-pool'>(), path }
      await made.driver.pools.prepare(pool)
      const copy = { pool, id: newId<'layer'>() }
      const full = made.driver.layers.copy(copy, [await aBase()], 8 * mib, anOwner, quiet, never)
      await assert.rejects(full, { kind: 'no-capacity', code: 'pool-full' })
      assert.deepEqual(await made.driver.layers.list(pool), [])
    } finally {
      await run('umount', [path])
    }
  })

  test('an account owns its layers alone, and everybody may read a base', { skip: !asRoot }, async () => {
    const [base, layer] = [await aBase(), aLayer()]
    await made.driver.layers.fork(layer, [base], 8 * mib, anOwner)
    const [baseFile, ownFile] = [await stat(layerFile(base)), await stat(layerFile(layer))]
    assert.deepEqual([baseFile.uid, baseFile.mode & 0o777], [0, 0o444])
    assert.deepEqual([ownFile.uid, ownFile.mode & 0o777], [defaultUidBase + anOwner.accountNumber, 0o600])
  })

  test('what a crash left half-made is listed, has no facts, and is made anew or discarded', async () => {
    const [base, layer] = [await aBase(), aLayer()]
    await writeFile(`${layerFile(layer)}.1234.part`, 'half')
    assert.ok((await made.driver.layers.list(made.pool)).includes(layer.id))
    assert.equal(await made.driver.layers.facts(layer), null)
    await made.driver.layers.fork(layer, [base], 8 * mib, anOwner)
    const names = await readdir(join(made.pool.path, 'layers'))
    assert.ok(!names.includes(`${layer.id}.qcow2.1234.part`), 'it takes no space for ever')
    await writeFile(`${layerFile(layer)}.1234.part`, 'half')
    await made.driver.layers.discard(layer)
    assert.ok(!(await made.driver.layers.list(made.pool)).includes(layer.id))
  })

  test('two attempts at one layer at once make it once, whole, and leave nothing else', async () => {
    const [base, copy, fork] = [await aBase(), aLayer(), aLayer()]
    const attempt = () => made.driver.layers.copy(copy, [base], 16 * mib, anOwner, quiet, never)
    const [one, other] = await Promise.all([attempt(), attempt()])
    assert.deepEqual([one.virtualBytes, other.virtualBytes], [16 * mib, 16 * mib])
    await run('qemu-img', ['check', '-q', layerFile(copy)])
    assert.match((await run('qemu-img', ['compare', layerFile(base), layerFile(copy)])).stdout, /identical/)
    await Promise.all([1, 2, 3].map(() => made.driver.layers.fork(fork, [base], 8 * mib, anOwner)))
    const names = await readdir(join(made.pool.path, 'layers'))
    for (const { id } of [copy, fork])
      assert.deepEqual(
        names.filter(name => name.startsWith(id)),
        [`${id}.qcow2`],
      )
  })

  test('a slow attempt does not replace a layer that is there', async () => {
    const layer = aLayer()
    const begin = () => startPart(layer, path => writeEmpty(path, mib, null), null)
    const quick = await begin()
    await quick.publish(0o600, null)
    const slow = await begin() // which looked before
    const { ino } = await stat(layerFile(layer))
    await assert.rejects(slow.publish(0o600, null))
    await Promise.all([slow.close(), quick.close()])
    assert.equal((await stat(layerFile(layer))).ino, ino)
  })

  test('a layer that is no disk any more says so', async () => {
    const layer = aLayer()
    await made.driver.layers.blank(layer, mib, anOwner)
    const file = await open(layerFile(layer), 'r+')
    await file.write('XXXX', 0)
    await file.close()
    await assert.rejects(made.driver.layers.facts(layer), { code: 'layer-damaged' })
  })

  test('a graft on the same base elsewhere shows the same disk, and holds only what was written', async () => {
    const [base, other, fork, graft] = [await aBase(), await aBase(), aLayer(), aLayer()]
    await made.driver.layers.fork(fork, [base], 16 * mib, anOwner)
    await run('qemu-io', ['-c', 'write -P 5 1M 1M', '-c', 'write -z 4M 1M', '-c', 'write -P 6 12M 1M', layerFile(fork)])
    await made.driver.layers.graft(graft, [base, fork], [other], anOwner, quiet, never)
    await run('qemu-img', ['compare', layerFile(fork), layerFile(graft)])
    const { allocatedBytes } = await made.driver.layers.graft(graft, [base, fork], [other], anOwner, quiet, never)
    assert.ok(allocatedBytes < 3 * mib, `it takes ${allocatedBytes} bytes`)
    await made.driver.layers.discard(fork)
    await made.driver.layers.discard(base)
    await run('qemu-io', [
      '-r',
      '-c',
      'read -P 5 1M 1M',
      '-c',
      'read -P 0 4M 1M',
      '-c',
      'read -P 6 12M 1M',
      layerFile(graft),
    ])
  })

  test('a disk shrinks down to its data and no further, and the refusal says where they end', async () => {
    const layer = aLayer()
    await made.driver.layers.blank(layer, 64 * mib, anOwner)
    await run('qemu-io', ['-c', 'write -P 5 20M 1M', layerFile(layer)])
    await assert.rejects(made.driver.layers.resize([layer], 20 * mib, anOwner), {
      kind: 'refused',
      code: 'disk-has-data',
      message: new RegExp(`up to byte ${21 * mib} `),
    })
    assert.equal((await made.driver.layers.facts(layer))?.virtualBytes, 64 * mib)
    await made.driver.layers.resize([layer], 21 * mib, anOwner)
    await run('qemu-io', ['-r', '-c', 'read -P 5 20M 1M', layerFile(layer)])
  })

  test('a linked clone does not shrink below its base, and shows zeros where it grew', async () => {
    const [base, fork] = [await aBase(), aLayer()]
    await made.driver.layers.fork(fork, [base], 8 * mib, anOwner)
    await assert.rejects(made.driver.layers.resize([base, fork], 4 * mib, anOwner), { code: 'disk-below-base' })
    await made.driver.layers.resize([base, fork], 12 * mib, anOwner)
    await run('qemu-io', ['-r', '-c', 'read -P 0 8M 4M', layerFile(fork)])
  })

  test('an export shows the whole disk and stands on nothing', async () => {
    const [base, fork] = [await aBase(), aLayer()]
    const file = join(made.folder, 'export.qcow2')
    await made.driver.layers.fork(fork, [base], 16 * mib, anOwner)
    await made.driver.layers.export([base, fork], file, anOwner, quiet, never)
    await run('qemu-img', ['compare', layerFile(fork), file])
    const info = JSON.parse((await run('qemu-img', ['info', '--output=json', file])).stdout)
    assert.equal(info['backing-filename'], undefined)
    assert.equal((await stat(file)).uid, process.getuid?.())
  })

  test('a seed of an account is its own, and of nobody else', async () => {
    const raw = join(made.folder, 'own-raw')
    await writeFile(raw, Buffer.alloc(mib, 'ramet'))
    const layer = aLayer()
    await made.driver.layers.seed(layer, raw, 'raw', anOwner, quiet, never)
    const { mode, uid } = await stat(layerFile(layer))
    assert.equal(mode & 0o777, 0o600)
    if (asRoot) assert.equal(uid, defaultUidBase + anOwner.accountNumber)
  })
})
