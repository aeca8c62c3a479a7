// The part of the contract that instant clones stand on: memory that is left in the host's memory, machines that go on from another's,
// and machines that are frozen for them. contract.ts runs it over every driver.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import type { DriverUnderTest } from './contract.ts'
import type { Cut, LayerRef, MachineSpec, MemoryImageRef } from './driver.ts'

const never = new AbortController().signal
const quiet = () => {}
const gib = 2 ** 30
const owner = { accountNumber: 7 }
const twice = ['first', 'again'] as const

export function cloneContract(
  under: () => DriverUnderTest,
  aMachine: (disk: LayerRef, about?: Partial<MachineSpec>) => MachineSpec,
): void {
  const driver = () => under().driver
  const aLayer = (): LayerRef => ({ pool: under().pool, id: newId<'layer'>() })
  const aMemory = (): MemoryImageRef => ({ pool: under().pool, id: newId<'memory-image'>() })

  test('a host has memory to give', async () => {
    const { availableBytes, storeFreeBytes } = await driver().hosts.memory(under().hosts[0])
    assert.ok(availableBytes > 0 && storeFreeBytes > 0)
  })

  cloning('clones of a running machine start at once, on layers of their own, and are cloned in turn', async () => {
    const [spec, root, memory] = await aRunningMachine({ nics: [] })
    const layer = await aFork([root])
    const facts = await driver().machines.cut(spec.vm, cutOf(spec, layer, memory), quiet, never)
    assert.ok(facts.way && facts.memory?.inHostMemory && facts.stunMs !== null)
    const kept = { ...facts.memory, allocatedBytes: 0 } // whoever reads memory may fill it
    assert.deepEqual({ ...(await driver().memory.facts(memory)), allocatedBytes: 0 }, kept)
    assert.equal(await driver().memory.fits(memory), null)
    assert.ok((await driver().memory.list(under().pool)).includes(memory.id))
    const again = await driver().machines.cut(spec.vm, cutOf(spec, layer, memory), quiet, never)
    assert.deepEqual({ ...again.memory, allocatedBytes: 0 }, kept)
    assert.ok(again.stunMs === null && again.quiesced === null)
    const clones = await Promise.all([aClone(spec, [root], memory), aClone(spec, [root], memory)])
    await Promise.all(clones.map(clone => runs(clone)))
    await runs({ ...spec, disks: [{ deviceId: 0, chain: [root, layer] }] })
    const [first] = clones
    const [tip, second] = [await aFork(first.disks[0].chain), aMemory()]
    await driver().machines.cut(first.vm, cutOf(first, tip, second), quiet, never)
    const grandchild = await aClone(first, first.disks[0].chain, second)
    await runs(grandchild)
    for (const image of [memory, second]) for (const _ of twice) await driver().memory.discard(image)
    assert.notEqual(await driver().memory.fits(memory), null)
    for (const { vm } of [spec, ...clones, grandchild]) {
      assert.equal((await driver().machines.facts(vm)).power, 'on')
      await removed(vm)
    }
  })

  cloning('a running clone holds memory of its host, and one that is off holds none', async () => {
    const [spec, root, memory] = await aRunningMachine({ nics: [] })
    await driver().machines.cut(spec.vm, cutOf(spec, await aFork([root]), memory), quiet, never)
    const { vm } = await aClone(spec, [root], memory)
    for (const each of [vm, spec.vm]) assert.ok(((await driver().machines.heldMemory(each)) ?? 0) > 0)
    await driver().machines.stop(vm, 0, never)
    assert.equal(await driver().machines.heldMemory(vm), null)
    for (const each of [vm, spec.vm]) await removed(each)
    await driver().memory.discard(memory)
  })

  cloning('a clone has no port until its own card is plugged in', async () => {
    const [spec, root, memory] = await aRunningMachine()
    await driver().machines.cut(spec.vm, cutOf(spec, await aFork([root]), memory), quiet, never)
    const clone = await aClone(spec, [root], memory)
    assert.deepEqual((await driver().machines.facts(clone.vm)).sshPorts, {})
    assert.equal(Object.keys((await driver().machines.facts(spec.vm)).sshPorts).length, 1)
    await removed(clone.vm)
    await driver().machines.pullInheritedNics(clone.vm, never) // off: there is nothing to do
    await removed(spec.vm)
    await driver().memory.discard(memory)
  })

  cloning('a frozen machine ends, clones start from that instant, and it goes on from there itself', async () => {
    const [spec, root, memory] = await aRunningMachine()
    const facts = await driver().machines.freeze(spec.vm, memory, quiet, never)
    assert.equal(facts.memoryBytes, spec.memoryMib * 2 ** 20)
    assert.ok(facts.inHostMemory)
    assert.equal((await driver().machines.facts(spec.vm)).power, 'off')
    assert.deepEqual(await driver().machines.freeze(spec.vm, memory, quiet, never), facts)
    const clones = await Promise.all([aClone(spec, [root], memory), aClone(spec, [root], memory)])
    for (const clone of clones) await runs(clone)
    const above = await aFork([root])
    const back = { ...spec, disks: [{ deviceId: 0, chain: [root, above] }] as const, memory }
    await driver().machines.start(back)
    await runs(back)
    for (const { vm } of [spec, ...clones]) await removed(vm)
    await driver().memory.discard(memory)
    await assert.rejects(driver().machines.freeze(spec.vm, memory, quiet, never), { code: 'machine-off' })
  })

  cloning('a freeze that is aborted leaves no memory image, and the machine runs on', async () => {
    const [spec, root, memory] = await aRunningMachine()
    await assert.rejects(driver().machines.freeze(spec.vm, memory, quiet, AbortSignal.abort()))
    assert.equal(await driver().memory.facts(memory), null)
    assert.ok(!(await driver().memory.list(under().pool)).includes(memory.id))
    await runs({ ...spec, disks: [{ deviceId: 0, chain: [root] }] })
    await removed(spec.vm)
  })

  cloning('a clone with other memory, processors or disks than the image is refused, and leaves nothing', async () => {
    const [spec, root, memory] = await aRunningMachine()
    await driver().machines.freeze(spec.vm, memory, quiet, never)
    const clone = cloneOf(spec, [root, await aFork([root])], memory)
    const more = [...clone.disks, { deviceId: 1, chain: [await aFork([root])] }] as unknown as MachineSpec['disks']
    for (const other of [{ memoryMib: 2 * spec.memoryMib }, { cpus: 2 }, { disks: more }])
      await assert.rejects(driver().machines.start({ ...clone, ...other }), { code: 'memory-does-not-fit' })
    assert.equal(
      (await driver().machines.list()).find(({ vm }) => vm === clone.vm),
      undefined,
    )
    await driver().memory.discard(memory)
    await assert.rejects(driver().machines.start(clone), { kind: 'unavailable', code: 'memory-image-missing' })
    await removed(spec.vm)
  })

  function cloning(name: string, run: () => Promise<void>): void {
    test(name, (t: TestContext) => (driver().capabilities.instantClone ? run() : t.skip('it makes no instant clones')))
  }

  async function aRunningMachine(about: Partial<MachineSpec> = {}): Promise<[MachineSpec, LayerRef, MemoryImageRef]> {
    const root = aLayer()
    await driver().layers.blank(root, gib, owner)
    const spec = aMachine(root, { host: under().hosts[0], ...about })
    await driver().machines.start(spec)
    return [spec, root, aMemory()]
  }

  function cutOf(machine: MachineSpec, layer: LayerRef, memory: MemoryImageRef): Cut {
    return { disks: [{ disk: machine.disks[0], layer }], memory, inHostMemory: true, machine, quiesce: false }
  }

  function cloneOf(spec: MachineSpec, chain: MachineSpec['disks'][0]['chain'], memory: MemoryImageRef): MachineSpec {
    const { cpus, memoryMib, host } = spec
    return { ...aMachine(chain[0], { disks: [{ deviceId: 0, chain }], cpus, memoryMib, host }), memory, isClone: true }
  }

  async function aClone(spec: MachineSpec, chain: MachineSpec['disks'][0]['chain'], memory: MemoryImageRef) {
    const clone = cloneOf(spec, [...chain, await aFork(chain)], memory)
    assert.equal((await driver().machines.start(clone)).power, 'on')
    assert.equal((await driver().machines.start(clone)).power, 'on')
    return clone
  }

  async function aFork(base: MachineSpec['disks'][0]['chain']): Promise<LayerRef> {
    const layer = aLayer()
    await driver().layers.fork(layer, base, gib, owner)
    return layer
  }

  async function runs({ vm, disks }: MachineSpec): Promise<void> {
    assert.equal((await driver().machines.facts(vm)).power, 'on')
    assert.equal((await driver().machines.activeLayers(vm))?.get(0), disks[0].chain.at(-1)?.id)
  }

  async function removed(vm: MachineSpec['vm']): Promise<void> {
    await driver().machines.stop(vm, 0, never)
    await driver().machines.discard(vm)
  }
}
