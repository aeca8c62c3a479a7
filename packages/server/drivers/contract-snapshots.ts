// The part of the contract that snapshots stand on: cuts, memory images, merges. contract.ts runs it over every driver.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { identityProblems } from '@ramet/core/identity.ts'
import { newId } from '@ramet/core/ids.ts'
import type { DriverUnderTest } from './contract.ts'
import type { Cut, DiskSpec, LayerChain, LayerRef, MachineSpec, MemoryImageRef, Merge } from './driver.ts'

const never = new AbortController().signal
const quiet = () => {}
const gib = 2 ** 30
const owner = { accountNumber: 7 }
const twice = ['first', 'again'] as const

export function snapshotContract(
  under: () => DriverUnderTest,
  aMachine: (disk: LayerRef, about?: Partial<MachineSpec>) => MachineSpec,
): void {
  const driver = () => under().driver
  const aLayer = (): LayerRef => ({ pool: under().pool, id: newId<'layer'>() })
  const aMemory = (): MemoryImageRef => ({ pool: under().pool, id: newId<'memory-image'>() })

  test('the machine of a VM snapshot has what was recorded, where the hypervisor knows no better', async () => {
    const [recorded, ids] = [
      { cpus: 3, memoryMib: 300 },
      { id: newId<'vm-snapshot'>(), vm: newId<'vm'>() },
    ]
    assert.deepEqual(await driver().machines.getVmSnapshotConfigs({ ...ids, recorded, memory: null }), recorded)
  })

  test('a guest is made somebody of its own, or said to be silent, and so again; one that is off is silent', async () => {
    const { spec } = await aRunningMachine()
    const cards = spec.nics.map(({ mac }) => ({ mac, address: null }))
    const identity = { ...spec.firstBoot, instanceId: newId<'vm'>(), cards, ageMs: 1000 }
    const customize = () => driver().machines.customize(spec.vm, identity, 300, never)
    const wrong = await customize()
    assert.ok(wrong.length === 0 || wrong[0] === identityProblems.noAgent, wrong.join())
    assert.deepEqual(await customize(), wrong)
    await assert.rejects(driver().machines.customize(spec.vm, identity, 300, AbortSignal.abort()))
    await removed(spec)
    assert.deepEqual(await customize(), [identityProblems.noAgent])
  })

  test('a layer is merged into its child, which shows the same on a shorter chain, and so does its sibling', async () => {
    const [base, from, child, sibling] = [aLayer(), aLayer(), aLayer(), aLayer()]
    await driver().layers.blank(base, gib, owner)
    await under().write([base], 0, 'a')
    await driver().layers.fork(from, [base], gib, owner)
    await under().write([base, from], 1, 'b')
    await under().write([base, from], 2, 'b')
    for (const each of [child, sibling]) await driver().layers.fork(each, [base, from], gib, owner)
    await under().write([base, from, child], 2, 'c')
    const before = await contents([base, from, sibling])
    for (const _ of twice) await driver().layers.merge([base, from, child], merge(child, base), owner, quiet, never)
    assert.deepEqual(await contents([base, child]), ['a', 'b', 'c', ''])
    assert.deepEqual(await contents([base, from, sibling]), before)
    await driver().layers.discard(sibling)
    await driver().layers.discard(from)
    assert.deepEqual(await contents([base, child]), ['a', 'b', 'c', ''])
  })

  test('a merge into the last child of a layer that stands on nothing leaves a layer that stands alone', async () => {
    const [from, child] = [aLayer(), aLayer()]
    await driver().layers.blank(from, gib, owner)
    await under().write([from], 1, 'b')
    await driver().layers.fork(child, [from], 2 * gib, owner)
    await assert.rejects(driver().layers.merge([from, child], merge(child, null), owner, quiet, AbortSignal.abort()))
    assert.deepEqual(await contents([from, child]), ['', 'b', '', ''])
    const facts = await driver().layers.merge([from, child], merge(child, null), owner, quiet, never)
    assert.equal(facts.virtualBytes, 2 * gib)
    await driver().layers.discard(from)
    assert.deepEqual(await contents([child]), ['', 'b', '', ''])
  })

  test('all disks of a running machine get new layers at one instant, and a repeat says so', async t => {
    if (!driver().capabilities.vmSnapshot) return t.skip('it takes no VM snapshots')
    const { spec, cut, layers } = await aRunningMachine()
    assert.deepEqual(await active(spec), tips(spec.disks))
    const facts = await driver().machines.cut(spec.vm, cut, quiet, never)
    assert.ok(facts.stunMs !== null && facts.stunMs >= 0 && facts.memory === null)
    const after = spec.disks.map((disk, index) => [disk.deviceId, layers[index]?.id])
    assert.deepEqual(await active(spec), after)
    assert.deepEqual(await driver().machines.cut(spec.vm, cut, quiet, never), {
      stunMs: null,
      quiesced: null,
      memory: null,
    })
    await removed(spec)
    assert.equal(await driver().machines.activeLayers(spec.vm), null)
    await assert.rejects(driver().machines.cut(spec.vm, cut, quiet, never), { kind: 'refused', code: 'machine-off' })
  })

  test('a cut of which one disk fails changes none, and the machine runs on', async t => {
    if (!driver().capabilities.vmSnapshot) return t.skip('it takes no VM snapshots')
    const { spec, cut } = await aRunningMachine()
    const [first, second] = cut.disks
    const broken: Cut = { ...cut, disks: [first, { ...(second ?? first), layer: aLayer() }] }
    await assert.rejects(driver().machines.cut(spec.vm, broken, quiet, never))
    assert.deepEqual(await active(spec), tips(spec.disks))
    assert.equal((await driver().machines.facts(spec.vm)).power, 'on')
    await driver().machines.cut(spec.vm, cut, quiet, never)
    await removed(spec)
  })

  test('memory is saved with the cut, and machines go on from it, again and again', async t => {
    if (!driver().capabilities.memorySnapshot) return t.skip('it saves no memory')
    const { spec, cut } = await aRunningMachine()
    const memory = aMemory()
    assert.equal(await driver().memory.facts(memory), null)
    const facts = await driver().machines.cut(spec.vm, { ...cut, memory }, quiet, never)
    assert.equal(facts.memory?.memoryBytes, spec.memoryMib * 2 ** 20)
    assert.ok(facts.stunMs !== null)
    assert.deepEqual(await driver().memory.facts(memory), facts.memory)
    assert.equal(await driver().memory.fits(memory), null)
    assert.ok((await driver().memory.list(under().pool)).includes(memory.id))
    const config = { cpus: spec.cpus, memoryMib: spec.memoryMib }
    const snapshot = { id: newId<'vm-snapshot'>(), vm: spec.vm, recorded: { ...config, cpus: 9 }, memory }
    assert.deepEqual(await driver().machines.getVmSnapshotConfigs(snapshot), config)
    const again = await driver().machines.cut(spec.vm, { ...cut, memory }, quiet, never)
    assert.deepEqual(again, { stunMs: null, quiesced: null, memory: facts.memory })
    for (const _ of twice) {
      await driver().machines.stop(spec.vm, 0, never)
      const disks = await onNewLayers(spec)
      const back = { ...spec, disks, memory, generationId: globalThis.crypto.randomUUID() }
      assert.equal((await driver().machines.start(back)).power, 'on')
      assert.deepEqual(await active(spec), tips(disks))
    }
    for (const _ of twice) await driver().memory.discard(memory)
    assert.equal((await driver().machines.facts(spec.vm)).power, 'on')
    assert.ok(!(await driver().memory.list(under().pool)).includes(memory.id))
    assert.notEqual(await driver().memory.fits(memory), null)
    await removed(spec)
    await assert.rejects(driver().machines.start({ ...spec, memory }), { kind: 'unavailable' })
    assert.equal((await driver().machines.facts(spec.vm)).power, 'off')
  })

  test('a machine that runs is replaced by what it was in its memory, once, and one that is off starts from there', async t => {
    if (!driver().capabilities.memorySnapshot) return t.skip('it saves no memory')
    const { spec, cut } = await aRunningMachine()
    const memory = aMemory()
    await driver().machines.cut(spec.vm, { ...cut, memory }, quiet, never)
    const now = await active(spec)
    const misfit = { ...spec, disks: await onNewLayers(spec), memory, memoryMib: 2 * spec.memoryMib }
    await assert.rejects(driver().machines.replace(misfit), { kind: 'refused', code: 'memory-does-not-fit' })
    assert.deepEqual([(await driver().machines.facts(spec.vm)).power, await active(spec)], ['on', now])
    const disks = await onNewLayers(spec)
    for (const _ of twice) assert.equal((await driver().machines.replace({ ...spec, disks, memory })).power, 'on')
    assert.deepEqual(await active(spec), tips(disks))
    await driver().machines.stop(spec.vm, 0, never)
    const others = await onNewLayers(spec)
    await driver().machines.replace({ ...spec, disks: others, memory })
    assert.deepEqual(await active(spec), tips(others))
    await removed(spec)
    await driver().memory.discard(memory)
  })

  test('a machine whose disks were written does not go on from memory, and one with new layers does', async t => {
    if (!driver().capabilities.memorySnapshot) return t.skip('it saves no memory')
    const { spec, cut } = await aRunningMachine()
    const memory = aMemory()
    await driver().machines.cut(spec.vm, { ...cut, memory }, quiet, never)
    await driver().machines.stop(spec.vm, 0, never)
    const disks = await onNewLayers({ ...spec, disks: withLayers(cut) })
    const back = { ...spec, disks, memory }
    for (const _ of twice) {
      assert.equal((await driver().machines.start(back)).power, 'on')
      await driver().machines.stop(spec.vm, 0, never) // its guest wrote nothing, so it may go on from there again
    }
    const { chain } = disks.at(-1)!
    await under().write(chain, 3, 'w')
    for (const go of [driver().machines.start, driver().machines.replace])
      await assert.rejects(go(back), { kind: 'refused', code: 'disk-written', message: /its disk 1 was written/ })
    assert.equal((await driver().machines.facts(spec.vm)).power, 'off')
    assert.equal(await under().read(chain, 3), 'w')
    const others = await onNewLayers({ ...spec, disks: withLayers(cut) })
    assert.equal((await driver().machines.start({ ...back, disks: others })).power, 'on')
    await driver().machines.stop(spec.vm, 0, never)
    assert.equal((await driver().machines.start({ ...spec, disks })).power, 'on') // it boots from what it wrote
    await removed(spec)
    await driver().memory.discard(memory)
  })

  test('a machine with other devices than the memory was made with is refused', async t => {
    if (!driver().capabilities.memorySnapshot) return t.skip('it saves no memory')
    const { spec, cut } = await aRunningMachine()
    const memory = aMemory()
    await driver().machines.cut(spec.vm, { ...cut, memory }, quiet, never)
    await driver().machines.stop(spec.vm, 0, never)
    const disks = await onNewLayers(spec)
    for (const other of [{ memoryMib: 2 * spec.memoryMib }, { cpus: 2 }, { disks: [disks[0]] as const }])
      await assert.rejects(driver().machines.start({ ...spec, disks, ...other, memory }), {
        kind: 'refused',
        code: 'memory-does-not-fit',
      })
    assert.equal((await driver().machines.facts(spec.vm)).power, 'off')
    await removed(spec)
    await driver().memory.discard(memory)
  })

  test('a repeat of a cut that lost its memory says so', async t => {
    if (!driver().capabilities.memorySnapshot) return t.skip('it saves no memory')
    const { spec, cut } = await aRunningMachine()
    await driver().machines.cut(spec.vm, cut, quiet, never)
    await assert.rejects(driver().machines.cut(spec.vm, { ...cut, memory: aMemory() }, quiet, never), {
      kind: 'refused',
      code: 'memory-not-saved',
    })
    await removed(spec)
  })

  test('a cut that is aborted leaves no memory image, and the machine runs on', async t => {
    if (!driver().capabilities.memorySnapshot) return t.skip('it saves no memory')
    const { spec, cut } = await aRunningMachine()
    const memory = aMemory()
    await assert.rejects(driver().machines.cut(spec.vm, { ...cut, memory }, quiet, AbortSignal.abort()))
    assert.equal(await driver().memory.facts(memory), null)
    assert.ok(!(await driver().memory.list(under().pool)).includes(memory.id))
    assert.equal((await driver().machines.facts(spec.vm)).power, 'on')
    await driver().machines.cut(spec.vm, { ...cut, memory }, quiet, never)
    await removed(spec)
    await driver().memory.discard(memory)
  })

  test('a layer of a running machine is merged into the one above, at the top and in the middle', async t => {
    if (!driver().capabilities.liveMerge) return t.skip('it does not merge while a machine runs')
    const { spec, cut, layers } = await aRunningMachine()
    const [disk, base, [middle], third] = [spec.disks[0], spec.disks[0].chain[0], layers, aLayer()]
    await driver().machines.cut(spec.vm, cut, quiet, never)
    await driver().machines.stop(spec.vm, 0, never)
    await under().write([base, middle], 2, 'm')
    await driver().layers.fork(third, [base, middle], gib, owner)
    await under().write([base, middle, third], 3, 't')
    const full: DiskSpec = { ...disk, chain: [base, middle, third] }
    await driver().machines.start({ ...spec, disks: [full] })
    for (const _ of twice)
      assert.equal(await driver().machines.merge(spec.vm, full, merge(middle, null), quiet, never), true)
    await driver().layers.discard(base)
    const shorter: DiskSpec = { ...disk, chain: [middle, third] }
    for (const _ of twice)
      assert.equal(await driver().machines.merge(spec.vm, shorter, merge(third, null), quiet, never), true)
    await driver().layers.discard(middle)
    assert.equal((await driver().machines.activeLayers(spec.vm))?.get(0), third.id)
    await driver().machines.stop(spec.vm, 0, never)
    assert.deepEqual(await contents([third]), ['', 'r', 'm', 't'])
    assert.equal(await driver().machines.merge(spec.vm, shorter, merge(third, null), quiet, never), false)
    await driver().machines.start({ ...spec, disks: [{ ...disk, chain: [third] }] })
    await removed(spec)
  })

  test('several layers go into the one above them at once, and whatever else stands on them is as it was', async () => {
    const [base, lower, upper, tip, sibling] = [aLayer(), aLayer(), aLayer(), aLayer(), aLayer()]
    const chain: LayerChain = [base, lower, upper, tip]
    await driver().layers.blank(base, gib, owner)
    await under().write([base], 0, 'a')
    for (const [index, text] of ['b', 'c', 'd'].entries()) {
      const below = chain.slice(0, index + 1) as unknown as LayerChain
      await driver().layers.fork(chain[index + 1]!, below, gib, owner)
      await under().write([...below, chain[index + 1]!] as unknown as LayerChain, index + 1, text)
    }
    await driver().layers.fork(sibling, [base, lower, upper], gib, owner)
    const shown = ['a', 'b', 'c', 'd']
    if (driver().capabilities.liveMerge) {
      const disk: DiskSpec = { deviceId: 0, chain }
      const spec = aMachine(tip, { disks: [disk], host: under().hosts[0] })
      await driver().machines.start(spec)
      for (const _ of twice)
        assert.equal(await driver().machines.merge(spec.vm, disk, merge(tip, base), quiet, never), true)
      assert.equal((await driver().machines.activeLayers(spec.vm))?.get(0), tip.id)
      await removed(spec)
    } else await driver().layers.merge(chain, merge(tip, base), owner, quiet, never)
    assert.deepEqual(await contents([base, tip]), shown)
    for (const _ of twice) await driver().layers.merge([base, tip], merge(tip, null), owner, quiet, never)
    assert.deepEqual(await contents([tip]), shown)
    assert.deepEqual(await contents([base, lower, upper, sibling]), ['a', 'b', 'c', ''])
    await assert.rejects(driver().layers.merge([base, tip], merge(tip, base), owner, quiet, never), {
      code: 'not-below',
    })
    for (const each of [sibling, upper, lower, base]) await driver().layers.discard(each)
    assert.deepEqual(await contents([tip]), shown)
  })

  /** A machine of two disks with something in them, and a cut of both. */
  async function aRunningMachine() {
    const [root, data] = [aLayer(), aLayer()]
    for (const each of [root, data]) await driver().layers.blank(each, gib, owner)
    await under().write([root], 1, 'r')
    await under().write([data], 2, 'd')
    const disks = [
      { deviceId: 0, chain: [root] },
      { deviceId: 1, chain: [data] },
    ] as const
    const spec = aMachine(root, { disks, host: under().hosts[0] })
    await driver().machines.start(spec)
    const layers = [aLayer(), aLayer()] as const
    await driver().layers.fork(layers[0], [root], gib, owner)
    await driver().layers.fork(layers[1], [data], gib, owner)
    const cut: Cut = {
      disks: [
        { disk: disks[0], layer: layers[0] },
        { disk: disks[1], layer: layers[1] },
      ],
      memory: null,
      quiesce: false,
    }
    return { spec, cut, layers }
  }

  async function active({ vm }: MachineSpec) {
    return [...((await driver().machines.activeLayers(vm)) ?? [])].toSorted(([a], [b]) => a - b)
  }

  async function onNewLayers({ disks }: MachineSpec): Promise<MachineSpec['disks']> {
    const forked = disks.map(async disk => {
      const layer = aLayer()
      await driver().layers.fork(layer, disk.chain, gib, owner)
      return { ...disk, chain: [...disk.chain, layer] as unknown as LayerChain }
    })
    return (await Promise.all(forked)) as unknown as MachineSpec['disks']
  }

  function contents(chain: LayerChain): Promise<string[]> {
    return Promise.all([0, 1, 2, 3].map(block => under().read(chain, block)))
  }

  async function removed({ vm }: MachineSpec): Promise<void> {
    await driver().machines.stop(vm, 0, never)
    await driver().machines.discard(vm)
  }
}

function withLayers({ disks }: Cut): MachineSpec['disks'] {
  const after = disks.map(({ disk, layer }) => ({ ...disk, chain: [...disk.chain, layer] as unknown as LayerChain }))
  return after as unknown as MachineSpec['disks']
}

function merge(into: LayerRef, onto: LayerRef | null): Merge {
  return { into, onto, bytesPerSecond: null }
}

function tips(disks: readonly DiskSpec[]): (readonly [number, string | undefined])[] {
  return disks.map(({ deviceId, chain }) => [deviceId, chain.at(-1)?.id] as const)
}
