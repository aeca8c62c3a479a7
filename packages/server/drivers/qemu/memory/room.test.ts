// The memory of machines and images is in a tmpfs that is too small: whoever needs more is refused before anything is taken, and all
// who have some already run on.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import { aMachine, anOwner } from '../../contract.ts'
import type { Cut, Driver, LayerChain, LayerRef, MachineSpec, MemoryImageRef } from '../../driver.ts'
import { aQemuDriver, type QemuUnderTest } from '../a-driver.ts'
import { ramDirectory } from '../machines/machine-folder.ts'

const never = new AbortController().signal
const quiet = () => {}
const gib = 2 ** 30
const skip = process.getuid?.() !== 0 && 'only root can mount a small file system'

describe('memory of which there is too little', { skip }, () => {
  let made: QemuUnderTest
  let driver: Driver
  let store: string

  before(async () => {
    made = await aQemuDriver()
    driver = made.driver
    await driver.pools.prepare(made.pool)
    store = ramDirectory(made.runDirectory)
    await mkdir(store, { mode: 0o711 })
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=160m,mode=0711', 'tmpfs', store])
  })
  after(async () => {
    execFileSync('umount', ['--lazy', store])
    await made.dispose()
  })

  test('a start, a cut and a freeze that would need more are refused, and what runs goes on', async () => {
    const first = await started(64)
    await assert.rejects(started(128), full(/128 MiB .*, and .* has 9\d MiB left/))
    const second = await started(64)

    const copied = image()
    await assert.rejects(cut(first, copied), full(/64 MiB .* has 3\d MiB left/))
    assert.deepEqual(await asBefore(first), [true, null])

    const [kept, layer] = [image(), await fork(first.disks[0].chain)]
    const { way } = await cut(first, kept, { layer, machine: first })
    assert.equal(way, 'successor') // its own memory is the image: nothing is taken
    const now = { ...first, disks: [{ deviceId: 0, chain: [...first.disks[0].chain, layer] as unknown as LayerChain }] }
    await assert.rejects(freeze(now as unknown as MachineSpec, image()), full(/has 3\d MiB left/))
    assert.equal((await driver.machines.facts(first.vm)).power, 'on')

    const frozen = image()
    await freeze(second, frozen) // as a machine that booted does
    for (const { vm } of [first, second]) await driver.machines.stop(vm, 0, never)
    for (const each of [kept, frozen]) await driver.memory.discard(each)
    assert.equal(Math.round((await driver.hosts.memory(first.host)).storeFreeBytes / 2 ** 20), 160)
  })

  const full = (message: RegExp) => ({ kind: 'no-capacity', code: 'memory-full', message })
  const image = (): MemoryImageRef => ({ pool: made.pool, id: newId<'memory-image'>() })
  const freeze = ({ vm }: MachineSpec, to: MemoryImageRef) => driver.machines.freeze(vm, to, quiet, never)

  async function started(memoryMib: number): Promise<MachineSpec> {
    const root = { pool: made.pool, id: newId<'layer'>() }
    await driver.layers.blank(root, gib, anOwner)
    const spec = aMachine(root, { memoryMib, nics: [] })
    await driver.machines.start(spec)
    return spec
  }

  async function fork(chain: LayerChain): Promise<LayerRef> {
    const layer = { pool: made.pool, id: newId<'layer'>() }
    await driver.layers.fork(layer, chain, gib, anOwner)
    return layer
  }

  async function cut(
    spec: MachineSpec,
    memory: MemoryImageRef,
    about: { layer?: LayerRef; machine?: MachineSpec } = {},
  ) {
    const [disk] = spec.disks
    const { layer = await fork(disk.chain), ...more } = about
    const wanted: Cut = { disks: [{ disk, layer }], memory, inHostMemory: true, quiesce: false, ...more }
    const facts = await driver.machines.cut(spec.vm, wanted, quiet, never)
    return facts
  }

  /** Whether it writes the layers that it wrote; and the image that there is not. */
  async function asBefore({ vm, disks }: MachineSpec) {
    const active = await driver.machines.activeLayers(vm)
    const { id } = disks[0].chain.at(-1)!
    return [active?.get(0) === id, (await driver.memory.list(made.pool)).length === 0 ? null : 'an image is left']
  }
})
