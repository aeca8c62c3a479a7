// Processes that wait to become clones: what comes of them is the machine that would have been started anyway, and none is ever left over.
import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { newId, type VmId } from '@ramet/core/ids.ts'
import { aMachine, anOwner } from '../../contract.ts'
import type { Driver, LayerRef, MachineSpec, MemoryImageRef } from '../../driver.ts'
import { eventually } from '../../../testing/eventually.ts'
import { aQemuDriver, processOf, type QemuUnderTest } from '../a-driver.ts'
import { server } from '../process/privileges.ts'
import { isAlive, killAndWait, type ProcessId } from '../process/process.ts'
import { findMachines, observeMachines } from './find-machines.ts'
import { machineFolder } from './machine-folder.ts'

const never = new AbortController().signal
const gib = 2 ** 30

describe('processes that wait to become clones', () => {
  let made: QemuUnderTest
  let driver: Driver
  let image: MemoryImageRef
  let base: LayerRef

  before(async () => {
    made = await aQemuDriver()
    driver = made.driver
    await driver.pools.prepare(made.pool)
    base = { pool: made.pool, id: newId<'layer'>() }
    image = { pool: made.pool, id: newId<'memory-image'>() }
    await driver.layers.blank(base, gib, anOwner)
    const source = aMachine(base)
    await driver.machines.start(source)
    await driver.machines.freeze(source.vm, image, () => {}, never)
  })
  after(() => made.dispose())

  test('the machine is the one that it would have been: ids, user, devices, disks', async () => {
    const [warm, cold] = [await aClone(), await aClone()]
    await driver.warm!.prepare(bare(warm))
    const process = await processOf(made.runDirectory, warm.vm)
    assert.equal((await driver.machines.start(warm)).power, 'on')
    await driver.machines.start(cold)
    assert.equal((await processOf(made.runDirectory, warm.vm))?.pid, process?.pid)
    for (const { vm, disks } of [warm, cold])
      assert.deepEqual(await driver.machines.activeLayers(vm), new Map([[0, disks[0].chain.at(-1)!.id]]))
    assert.deepEqual(await said(warm), await said(cold))
    if (server.uid === 0) assert.notEqual(await uidOf(process!), 0)
    assert.equal(await uidOf(process!), await uidOf((await processOf(made.runDirectory, cold.vm))!))
    const seeds = [warm, cold].map(({ vm }) => readFile(machineFolder(made.runDirectory, vm).seed))
    assert.deepEqual(...((await Promise.all(seeds)) as [Buffer, Buffer]))
    assert.equal(driver.warm!.waiting().size, 0)
    const next = await made.again()
    assert.deepEqual(new Set((await next.machines.adopt()).map(({ vm }) => vm)), new Set([warm.vm, cold.vm]))
    for (const { vm } of [warm, cold]) await removed(vm)
  })

  test('it is cut, and cloned in turn, as any machine', async () => {
    const clone = await aClone()
    await driver.warm!.prepare(bare(clone))
    await driver.machines.start(clone)
    const [layer, memory] = [await aLayerOn(clone.disks[0].chain), { pool: made.pool, id: newId<'memory-image'>() }]
    const disks = [{ disk: clone.disks[0], layer }] as const
    await driver.machines.cut(clone.vm, { disks, memory, inHostMemory: true, quiesce: false }, () => {}, never)
    const { chain } = clone.disks[0]
    const own = await aLayerOn(chain)
    const grandchild = { ...(await aClone()), memory, disks: [{ deviceId: 0, chain: [base, chain[1]!, own] }] as const }
    await driver.warm!.prepare(bare(grandchild))
    await driver.machines.start(grandchild)
    for (const { vm } of [clone, grandchild]) await removed(vm)
    await driver.memory.discard(memory)
  })

  test('it is no machine while it waits, and a repeat makes no other', async () => {
    const clone = await aClone()
    for (const _ of ['first', 'again']) await driver.warm!.prepare(bare(clone))
    assert.deepEqual([...driver.warm!.waiting()], [[clone.vm, image.id]])
    assert.ok(!(await driver.machines.list()).some(({ vm }) => vm === clone.vm))
    assert.ok(!(await isObserved(clone.vm)))
    assert.equal((await driver.machines.facts(clone.vm)).power, 'off')
    for (const _ of ['first', 'again']) await driver.warm!.end(clone.vm)
    await isGone(clone.vm)
  })

  const unusable: readonly (readonly [string, (clone: MachineSpec) => Promise<MachineSpec>])[] = [
    [
      'it was killed',
      async clone => {
        await killAndWait((await processOf(made.runDirectory, clone.vm))!, 5000)
        return clone
      },
    ],
    ['it has another generation', async clone => ({ ...clone, generationId: globalThis.crypto.randomUUID() })],
    ['a disk has another serial', async clone => ({ ...clone, disks: [{ ...clone.disks[0], serial: 'another' }] })],
  ]
  for (const [why, change] of unusable)
    test(`a clone starts as others do when ${why}, and what waited is gone`, async () => {
      const clone = await aClone()
      await driver.warm!.prepare(bare(clone))
      const process = await processOf(made.runDirectory, clone.vm)
      const started = await change(clone)
      assert.equal((await driver.machines.start(started)).power, 'on')
      assert.ok(!isAlive(process!))
      assert.equal((await findMachines(made.runDirectory)).get(clone.vm)?.others.length, 0)
      assert.equal(driver.warm!.waiting().size, 0)
      await removed(clone.vm)
    })

  test('it ends with its image, with its machine’s end, and when it is killed', async () => {
    const other = { pool: made.pool, id: newId<'memory-image'>() }
    const source = aMachine(base, { disks: [{ deviceId: 0, chain: [base, await aLayerOn([base])] }] })
    await driver.machines.start(source)
    await driver.machines.freeze(source.vm, other, () => {}, never)
    const [first, second, third] = [await aClone(), await aClone(), await aClone()]
    await driver.warm!.prepare({ ...bare(first), memory: other })
    await driver.memory.discard(other)
    await isGone(first.vm)
    await driver.warm!.prepare(bare(second))
    await driver.machines.stop(second.vm, 0, never)
    await driver.machines.discard(second.vm)
    await isGone(second.vm)
    await driver.warm!.prepare(bare(third))
    await killAndWait((await processOf(made.runDirectory, third.vm))!, 5000)
    await eventually('it is forgotten', async () => (driver.warm!.waiting().size === 0 ? true : null))
    await eventually('its folder is gone', async () => ((await folderOf(third.vm)) ? null : true))
  })

  test('the next server ends what waited for one that was killed, and doctor tells of it until then', async () => {
    const clone = await aClone()
    await driver.warm!.prepare(bare(clone))
    const process = await processOf(made.runDirectory, clone.vm)
    assert.ok(!(await isObserved(clone.vm)))
    const killed = { pid: 2 ** 22 + 1, startTime: '0', boot: '' }
    await writeFile(machineFolder(made.runDirectory, clone.vm).waiting, JSON.stringify(killed))
    assert.ok(await isObserved(clone.vm))
    const next = await made.again() // knows of nothing, as after kill -9
    assert.deepEqual(await next.machines.adopt(), [])
    assert.ok(!isAlive(process!))
    await isGone(clone.vm)
    assert.equal((await driver.machines.start(clone)).power, 'on')
    await removed(clone.vm)
  })

  test('a server that closes leaves none', async () => {
    const clone = await aClone()
    const another = await made.again()
    await another.machines.adopt()
    await another.warm!.prepare(bare(clone))
    await another.close()
    await isGone(clone.vm)
  })

  async function aLayerOn(chain: MachineSpec['disks'][0]['chain']): Promise<LayerRef> {
    const layer = { pool: made.pool, id: newId<'layer'>() }
    await driver.layers.fork(layer, chain, gib, anOwner)
    return layer
  }

  async function aClone(): Promise<MachineSpec> {
    const disks = [{ deviceId: 0, chain: [base, await aLayerOn([base])], serial: 'a-disk' }] as const
    return aMachine(base, { memory: image, isClone: true, disks })
  }

  /** What is known of it before it is asked for. */
  function bare(clone: MachineSpec): MachineSpec {
    const firstBoot = { ...clone.firstBoot, instanceId: '', hostname: '' }
    return { ...clone, name: '', nics: [], firstBoot, disks: [{ ...clone.disks[0], chain: [base] }] }
  }

  /** Its command line, but for what is each machine's own and what is told later. */
  async function said({ vm, generationId, disks }: MachineSpec): Promise<string[]> {
    const process = await processOf(made.runDirectory, vm)
    const args = (await readFile(`/proc/${process?.pid}/cmdline`, 'utf8')).split('\0')
    assert.equal(args[args.indexOf('-uuid') + 1], vm)
    assert.ok(args.includes(`vmgenid,id=vmgenid,guid=${generationId}`))
    const own = [vm, generationId, ...disks[0].chain.map(({ id }) => id)]
    const told = /^(guest=|\{|fd:6$|defer$|-blockdev$)/
    return args
      .filter(word => !told.test(word))
      .map(word => own.reduce((left, each) => left.replaceAll(each, ''), word).replace(/drive=[^,]+/, 'drive'))
  }

  async function uidOf({ pid }: ProcessId): Promise<number> {
    return (await stat(`/proc/${pid}`)).uid
  }

  async function folderOf(vm: VmId) {
    return stat(machineFolder(made.runDirectory, vm).path).catch(() => null)
  }

  /** By doctor. */
  async function isObserved(vm: VmId): Promise<boolean> {
    return (await observeMachines(made.runDirectory)).some(each => each.vm === vm)
  }

  async function isGone(vm: VmId): Promise<void> {
    assert.equal(await processOf(made.runDirectory, vm), undefined)
    assert.equal(await folderOf(vm), null)
    assert.ok(!driver.warm!.waiting().has(vm))
  }

  async function removed(vm: VmId): Promise<void> {
    await driver.machines.stop(vm, 0, never)
    await driver.machines.discard(vm)
  }
})
