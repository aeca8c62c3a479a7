// VM snapshots, and what is made of them, on hypervisors that keep their own disks; part of the suite of contract-forest.ts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type VmId, newId } from '@ramet/core/ids.ts'
import { type ForestLab, following, twice } from './contract-forest.ts'
import type { SeedNode, SnapshotNode } from './forest.ts'

const plain = { memory: false, quiesce: false }

export function forestSnapshots(lab: () => ForestLab): void {
  async function taken(vm: VmId, name: string, memory = false): Promise<SnapshotNode> {
    const node = lab().aSnapshot(vm)
    await lab().forest.fork(node, { ...plain, name, memory }, following)
    return node
  }

  async function tree(vm: VmId): Promise<[name: string, parent: string | null][]> {
    const all = (await lab().forest.snapshots(vm)) ?? []
    return all.map(({ name, parent }) => [name, all.find(({ key }) => key === parent)?.name ?? null])
  }

  const power = async (vm: VmId) => (await lab().driver.machines.facts(vm)).power

  test('a VM snapshot is taken once, of all disks, with the memory where it is asked and there is some', async () => {
    const { vm } = await lab().running()
    const node = lab().aSnapshot(vm)
    const wish = { name: 'a', memory: true, quiesce: false }
    const facts = await lab().forest.fork(node, wish, following)
    assert.deepEqual([facts.withMemory, facts.disks.length, facts.quiesced], [true, 2, null])
    const again = await lab().forest.fork(node, wish, following)
    assert.deepEqual({ ...again, quiesced: null }, facts)
    const deeper = (await lab().forest.disks(vm))!
    assert.ok(deeper.every(({ depth }, at) => depth === facts.disks[at]!.depth + 1))
    const config = { id: node.id, vm, recorded: { cpus: 9, memoryMib: 9 }, memory: null }
    assert.deepEqual(await lab().driver.machines.getVmSnapshotConfigs(config), { cpus: 1, memoryMib: 64 })
    await lab().driver.machines.stop(vm, 0, following.signal)
    const off = lab().aSnapshot(vm)
    assert.equal((await lab().forest.fork(off, { ...wish, name: 'off' }, following)).withMemory, false)
    await lab().removed(vm)
  })

  test('VM snapshots form a tree, in which those of others are seen, and what hangs on one that goes moves up', async () => {
    const { vm } = await lab().running()
    const a = await taken(vm, 'a', true)
    const b = await taken(vm, 'b')
    await lab().made.foreignSnapshot(vm, 'theirs')
    assert.deepEqual(await tree(vm), [
      ['a', null],
      ['b', 'a'],
      ['theirs', 'b'],
    ])
    const [first, second, third] = (await lab().forest.snapshots(vm)) ?? []
    assert.deepEqual([first?.id, second?.id, third?.id], [a.id, b.id, null])
    assert.deepEqual([first?.withMemory, second?.withMemory, third?.isCurrent], [true, false, true])
    await lab().forest.revert(a, true, 'to-a', following)
    await taken(vm, 'c')
    for (const _ of twice) await lab().forest.prune(b, following)
    assert.deepEqual(
      new Map(await tree(vm)),
      new Map([
        ['a', null],
        ['theirs', 'a'],
        ['c', 'a'],
      ] as const),
    )
    await lab().forest.prune(a, following)
    assert.deepEqual(
      new Map(await tree(vm)),
      new Map([
        ['theirs', null],
        ['c', null],
      ] as const),
    )
    await lab().removed(vm)
  })

  test('a machine whose current VM snapshot goes stands on the one before, or on none, and others begin there', async () => {
    const { vm } = await lab().aClone('linked')
    const [a, b] = [await taken(vm, 'a'), await taken(vm, 'b')]
    await lab().forest.revert(a, false, 'to-a', following)
    await lab().forest.prune(a, following)
    const current = async () => (await lab().forest.snapshots(vm))?.find(({ isCurrent }) => isCurrent)?.name ?? null
    assert.deepEqual([await tree(vm), await current()], [[['b', null]], null])
    const c = await taken(vm, 'c')
    const d = await taken(vm, 'd')
    assert.equal(await current(), 'd')
    await lab().forest.prune(d, following)
    assert.equal(await current(), 'c')
    for (const each of [b, c]) await lab().forest.prune(each, following)
    assert.deepEqual(await tree(vm), [])
    await lab().forest.start({ ...lab().aMachine(), vm }, following.signal)
    await lab().removed(vm)
  })

  test('a revert to a VM snapshot without memory leaves the machine off; with memory it runs where that is asked', async () => {
    const machine = await lab().running()
    const { vm } = machine
    const [withMemory, without] = [await taken(vm, 'with', true), await taken(vm, 'without')]
    const steps = [
      [without, true, 'off'],
      [withMemory, true, 'on'],
      [withMemory, false, 'off'],
    ] as const
    for (const [node, run, expected] of steps) {
      const facts = await lab().forest.revert(node, run, `to-${node.id}-${run}`, following)
      assert.equal(facts.power, expected)
      assert.deepEqual(await lab().driver.machines.facts(vm), facts)
      const current = (await lab().forest.snapshots(vm))?.find(({ isCurrent }) => isCurrent)
      assert.equal(current?.id, node.id)
    }
    await lab().removed(vm)
  })

  test('a revert brings back the size of that time, and is not done again under the same name', async () => {
    const machine = await lab().aClone('linked')
    const { vm } = machine
    const node = await taken(vm, 'then')
    const sizeOf = async (at: SnapshotNode) => (await lab().forest.fork(at, { ...plain, name: 'now' }, following)).cpus
    await lab().forest.start({ ...machine, cpus: 2 }, following.signal)
    await lab().forest.revert(node, false, 'once', following)
    assert.equal(await sizeOf(lab().aSnapshot(vm)), 1)
    await lab().forest.start({ ...machine, cpus: 2 }, following.signal)
    await lab().forest.revert(node, false, 'once', following)
    assert.equal(await power(vm), 'on')
    await lab().forest.revert(node, false, 'once more', following)
    assert.equal(await power(vm), 'off')
    await lab().removed(vm)
  })

  test('machines are made of a VM snapshot, which stays while one stands on it', async () => {
    const { vm } = await lab().running()
    const node = await taken(vm, 'a')
    const [full, linked] = [lab().aSpawn(node, 'full'), lab().aSpawn(node, 'linked')]
    const { disks } = await lab().forest.spawn(full, following)
    assert.ok(disks.every(({ depth }) => depth === 1))
    for (const _ of twice) assert.ok((await lab().forest.spawn(linked, following)).disks[0]!.depth > 1)
    await assert.rejects(lab().forest.prune(node, following), { kind: 'in-use' })
    await lab().removed(linked.machine.vm)
    await lab().forest.prune(node, following)
    assert.deepEqual(await tree(vm), [])
    await lab().removed(vm, full.machine.vm)
  })

  test('a machine whose VM snapshot carries another is not discarded before that one', async () => {
    const { vm } = await lab().aClone('full')
    const linked = lab().aSpawn(await taken(vm, 'a'), 'linked')
    await lab().forest.spawn(linked, following)
    await assert.rejects(lab().driver.machines.discard(vm), { kind: 'in-use' })
    assert.ok(await lab().forest.disks(vm))
    await lab().removed(linked.machine.vm, vm)
  })

  test('a seed of a VM snapshot outlives the snapshot, carries machines, and goes when none stands on it', async () => {
    const { vm } = await lab().running()
    const node = await taken(vm, 'a')
    const seed: SeedNode = { kind: 'seed', id: newId<'layer'>() }
    const [host] = lab().made.hosts
    const facts = await lab().forest.seed(seed, node, host, following)
    assert.deepEqual([facts.disks.length, facts.disks[0]?.depth, facts.withMemory], [1, 1, false])
    assert.deepEqual(await lab().forest.seed(seed, node, host, following), facts)
    await lab().forest.prune(node, following)
    const one = lab().aSpawn(seed, 'linked', { disks: [0] })
    await lab().forest.spawn(one, following)
    assert.ok(!(await lab().driver.machines.list()).some(each => (each.vm as string) === seed.id))
    await assert.rejects(lab().forest.unseed(seed), { kind: 'in-use', code: 'seed-in-use' })
    await lab().forest.flatten(one.machine.vm, following)
    for (const _ of twice) await lab().forest.unseed(seed)
    assert.equal((await lab().forest.disks(one.machine.vm))?.length, 1)
    await assert.rejects(lab().forest.spawn(lab().aSpawn(seed, 'linked'), following), { kind: 'unavailable' })
    await lab().removed(vm, one.machine.vm)
  })

  test('what is made of a VM snapshot that is not there is refused, and leaves nothing', async () => {
    const { vm } = await lab().aClone('linked')
    const wanted = lab().aSpawn(lab().aSnapshot(vm), 'linked')
    await assert.rejects(lab().forest.spawn(wanted, following), { kind: 'unavailable' })
    await assert.rejects(lab().forest.revert(lab().aSnapshot(vm), false, 'x', following), { kind: 'unavailable' })
    await lab().forest.prune(lab().aSnapshot(vm), following)
    assert.equal(await lab().forest.disks(wanted.machine.vm), null)
    await lab().removed(vm)
  })
}
