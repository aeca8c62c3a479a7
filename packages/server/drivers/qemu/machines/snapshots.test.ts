// What goes wrong while snapshots are taken and merged: a full pool, a killed process, a killed server.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { newId } from '@ramet/core/ids.ts'
import { aMachine, anOwner } from '../../contract.ts'
import type { Cut, Driver, LayerChain, LayerRef, MachineSpec, MemoryImageRef, Merge, PoolRef } from '../../driver.ts'
import { aQemuDriver, processOf, type QemuUnderTest } from '../a-driver.ts'
import { chainAsFilename, writableChainAsFilename } from '../disks/blockdev.ts'
import { layerFile } from '../disks/layer-files.ts'
import { machineFolder } from './machine-folder.ts'
import { memoryFiles, onPool } from '../memory/memory-files.ts'
import { Qmp } from '../process/qmp.ts'

const run = promisify(execFile)
const asRoot = process.getuid?.() === 0
const never = new AbortController().signal
const quiet = () => {}
const mib = 2 ** 20
const diskBytes = 256 * mib

describe('snapshots when something goes wrong', () => {
  let made: QemuUnderTest
  let driver: Driver
  const aLayer = (): LayerRef => ({ pool: made.pool, id: newId<'layer'>() })

  before(async () => {
    made = await aQemuDriver()
    driver = made.driver
    await driver.pools.prepare(made.pool)
  })
  after(() => made.dispose())

  test('a pool that is full while memory is saved: the machine runs on uncut, and nothing is left', {
    skip: !asRoot,
  }, async () => {
    const path = join(made.folder, 'small')
    await mkdir(path)
    await run('mount', ['-t', 'tmpfs', '-o', 'size=300k', 'tmpfs', path])
    try {
      const pool: PoolRef = { id: newId<'storage-pool'>(), path }
      await driver.pools.prepare(pool)
      const { spec, cut, root } = await aRunningMachine()
      await sleep(500) // the firmware fills some memory
      const memory: MemoryImageRef = { pool, id: newId<'memory-image'>() }
      await assert.rejects(driver.machines.cut(spec.vm, { ...cut, memory }, quiet, never), {
        kind: 'no-capacity',
        code: 'pool-full',
      })
      assert.deepEqual(await driver.machines.activeLayers(spec.vm), new Map([[0, root.id]]))
      assert.deepEqual(await readdir(join(path, 'memory')), [])
      assert.equal(await statusOf(spec), 'running')
      await driver.machines.cut(spec.vm, { ...cut, memory: { ...memory, pool: made.pool } }, quiet, never)
      await removed(spec)
    } finally {
      await run('umount', [path])
    }
  })

  test('a memory image is not gone on from once somebody wrote it, and is not lent to others', async () => {
    const { spec, cut } = await aRunningMachine()
    const memory: MemoryImageRef = { pool: made.pool, id: newId<'memory-image'>() }
    await driver.machines.cut(spec.vm, { ...cut, memory }, quiet, never)
    await driver.machines.stop(spec.vm, 0, never)
    const { ram, state, manifest } = memoryFiles(onPool(memory))
    for (const file of [ram, state, manifest]) assert.equal((await stat(file)).mode & 0o077, 0)
    if (asRoot)
      assert.deepEqual(
        (await Promise.all([state, manifest].map(file => stat(file)))).map(({ uid }) => uid),
        [0, 0],
      )
    const saved = await sum(ram)
    const back = {
      ...spec,
      disks: [{ deviceId: 0, chain: [...spec.disks[0].chain, cut.disks[0].layer] }],
      memory,
    } as const
    await driver.machines.start(back)
    await sleep(500)
    await removed(spec)
    assert.equal(await sum(ram), saved, 'the machine wrote into the image that it went on from')
    await writeFile(ram, 'x', { flag: 'r+' })
    assert.match((await driver.memory.fits(memory)) ?? '', /was changed/)
    await assert.rejects(driver.machines.start(back), { code: 'memory-does-not-fit' })
  })

  test('QEMU killed in the middle of a merge: the disk shows the same and is sound, and a repeat finishes', async () => {
    const { spec, cut, root } = await aRunningMachine(diskBytes)
    const [tip] = [cut.disks[0].layer]
    await driver.machines.stop(spec.vm, 0, never)
    await fill(root)
    await run('qemu-io', ['-c', 'write -q -P 251 5M 512k', writableChainAsFilename([root, tip])])
    const sibling = aLayer()
    await driver.layers.fork(sibling, [root], diskBytes, anOwner)
    const chain: LayerChain = [root, tip]
    const [shown, beside] = [await sumOf(chain), await sumOf([root, sibling])]
    const disk = { deviceId: 0, chain }
    await driver.machines.start({ ...spec, disks: [disk] })
    const pid = (await processOf(made.runDirectory, spec.vm))?.pid ?? 0
    const seen: number[] = []
    const merged = driver.machines.merge(spec.vm, disk, flattening(tip), percent => void seen.push(percent), never)
    while (!seen.some(percent => percent > 5)) await sleep(1)
    process.kill(pid, 'SIGKILL')
    assert.equal(await merged, false)
    assert.ok((seen.at(-1) ?? 100) < 99, `it was killed at ${seen.at(-1)} %`)
    for (const each of chain) assert.match(await checked(each), /No errors were found/)
    assert.equal(await sumOf(chain), shown)
    await driver.layers.merge(chain, flattening(tip), anOwner, quiet, never)
    assert.equal(await sumOf([tip]), shown)
    assert.equal(await sumOf([root, sibling]), beside)
    assert.match(await checked(tip), /No errors were found/)
    await driver.machines.start({ ...spec, disks: [{ deviceId: 0, chain: [tip] }] })
    await removed(spec)
  })

  test('a merge that is aborted ends, and the disk shows the same', async () => {
    const { spec, cut, root } = await aRunningMachine(diskBytes)
    await driver.machines.stop(spec.vm, 0, never)
    await fill(root)
    const chain: LayerChain = [root, cut.disks[0].layer]
    const shown = await sumOf(chain)
    const disk = { deviceId: 0, chain }
    await driver.machines.start({ ...spec, disks: [disk] })
    const abort = new AbortController()
    const merged = driver.machines.merge(spec.vm, disk, flattening(chain[1]!), () => abort.abort(), abort.signal)
    await assert.rejects(merged, { kind: 'cancelled' })
    assert.equal(await driver.machines.merge(spec.vm, disk, flattening(chain[1]!), quiet, never), true)
    await driver.machines.stop(spec.vm, 0, never)
    assert.equal(await sumOf([chain[1]!]), shown)
    await driver.machines.discard(spec.vm)
  })

  test('a server that ended while the machine stood still for its memory: the next lets it run', async () => {
    const { spec } = await aRunningMachine()
    await driver.close()
    const { qmp: path, memory } = machineFolder(made.runDirectory, spec.vm)
    const reader = await import('node:net').then(net => net.createServer(socket => socket.resume()).listen(memory))
    await chmod(memory, 0o666)
    const qmp = await Qmp.connect(path, () => {}, 5000)
    await qmp.execute('migrate-set-capabilities', {
      capabilities: [{ capability: 'pause-before-switchover', state: true }],
    })
    await qmp.execute('migrate', { uri: `unix:${memory}` })
    while ((await qmp.execute('query-migrate')).status !== 'pre-switchover') await sleep(5)
    assert.equal((await qmp.execute('query-status')).running, false)
    qmp.close()
    reader.close()
    driver = await made.again()
    await driver.machines.adopt()
    await driver.machines.activeLayers(spec.vm)
    assert.equal(await statusOf(spec), 'running')
    assert.ok(await processOf(made.runDirectory, spec.vm))
    await removed(spec)
  })

  test('a server that ended right after it had stopped the machine for its memory: the next lets it run', async () => {
    const { spec } = await aRunningMachine()
    await driver.close()
    const qmp = await Qmp.connect(machineFolder(made.runDirectory, spec.vm).qmp, () => {}, 5000)
    await qmp.execute('migrate-set-capabilities', {
      capabilities: [{ capability: 'pause-before-switchover', state: true }],
    })
    await qmp.execute('stop')
    qmp.close()
    driver = await made.again()
    await driver.machines.adopt()
    await driver.machines.activeLayers(spec.vm)
    assert.equal(await statusOf(spec), 'running')
    await removed(spec)
  })

  test('a guest without agent is cut all the same, and that is said', async () => {
    const { spec, cut } = await aRunningMachine()
    assert.equal(
      (await driver.machines.cut(spec.vm, { ...cut, quiesce: true }, quiet, never)).quiesced,
      'agent-missing',
    )
    assert.equal(await driver.machines.setClock(spec.vm, 100), 'agent-missing')
    await removed(spec)
  })

  async function aRunningMachine(bytes = 64 * mib) {
    const [root, layer] = [aLayer(), aLayer()]
    await driver.layers.blank(root, bytes, anOwner)
    const spec = aMachine(root)
    await driver.machines.start(spec)
    await driver.layers.fork(layer, [root], bytes, anOwner)
    const cut: Cut = { disks: [{ disk: spec.disks[0], layer }], memory: null, quiesce: false }
    return { spec, cut, root }
  }

  /** As the process says, asked by a driver that is gone afterwards: a monitor has one line. */
  async function statusOf({ vm }: MachineSpec): Promise<string> {
    await driver.close()
    const qmp = await Qmp.connect(machineFolder(made.runDirectory, vm).qmp, () => {}, 5000)
    const { status } = await qmp.execute('query-status')
    qmp.close()
    driver = await made.again()
    return status
  }

  async function removed({ vm }: MachineSpec): Promise<void> {
    await driver.machines.stop(vm, 0, never)
    await driver.machines.discard(vm)
  }
})

function flattening(into: LayerRef): Merge {
  return { into, onto: null, bytesPerSecond: null }
}

/** In many small pieces, so that it takes its time to merge. */
async function fill(layer: LayerRef): Promise<void> {
  const pieces = Array.from({ length: 1000 }, (_, index) => `write -q -P ${1 + (index % 250)} ${index * 256}k 128k`)
  await run('qemu-io', [...pieces.flatMap(piece => ['-c', piece]), writableChainAsFilename([layer])])
}

async function checked(layer: LayerRef): Promise<string> {
  return (await run('qemu-img', ['check', '-f', 'qcow2', layerFile(layer)])).stdout
}

async function sum(file: string): Promise<string> {
  return (await run('md5sum', [file])).stdout
}

/** Of all that the disk shows. */
async function sumOf(chain: LayerChain): Promise<string> {
  const script = 'qemu-img convert -O raw "$1" "$2" && md5sum < "$2"; rm -f "$2"'
  return (await run('sh', ['-c', script, 'sh', chainAsFilename(chain), `/tmp/ramet-sum-${process.pid}`])).stdout
}
