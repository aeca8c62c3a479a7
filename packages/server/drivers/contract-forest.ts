// What every driver must do whose hypervisor keeps its own disks, as tests (forest.ts). Such a driver's test file calls `forestContract`
// with a way to make one; what only that hypervisor can show stands in tests of its own.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import type { VmId } from '@ramet/core/ids.ts'
import { capabilityRow } from './contract-capabilities.ts'
import { forestDevices } from './contract-forest-devices.ts'
import { forestSnapshots } from './contract-forest-snapshots.ts'
import type { Driver, HostRef, PoolRef, PowerChange } from './driver.ts'
import type {
  DiskFacts,
  Following,
  Forest,
  ForeignTask,
  ForestMachine,
  SnapshotNode,
  Spawn,
  TemplateNode,
} from './forest.ts'

export interface ForestUnderTest {
  readonly driver: Driver
  readonly hosts: readonly [HostRef, ...HostRef[]]
  readonly pool: PoolRef
  /** A network that cards can be plugged into. */
  readonly network: string
  /** A machine of somebody else's with two disks, off: what `adopt` takes. */
  aForeignMachine(): Promise<string>
  /** Somebody else takes a VM snapshot of a machine. */
  foreignSnapshot(vm: VmId, name: string): Promise<void>
  /** Switches a machine on or off by somebody else's hand. */
  switchPower(vm: VmId, power: 'on' | 'off'): Promise<void>
  dispose(): Promise<void>
}

export const following: Following = { progress: () => {}, signal: new AbortController().signal }
export const twice = ['first', 'again'] as const
const { signal } = following

export interface ForestLab {
  readonly made: ForestUnderTest
  readonly driver: Driver
  readonly forest: Forest
  readonly template: TemplateNode
  aMachine(about?: Partial<ForestMachine>): ForestMachine
  aSpawn(from: Spawn['from'], cloneType: Spawn['cloneType'], about?: Partial<Spawn>): Spawn
  /** A machine of the template that is off, and one that runs. */
  aClone(cloneType: Spawn['cloneType']): Promise<ForestMachine>
  running(): Promise<ForestMachine>
  aSnapshot(vm: VmId): SnapshotNode
  removed(...vms: VmId[]): Promise<void>
}

export function forestContract(
  name: string,
  makeDriver: () => Promise<ForestUnderTest>,
  options: { skip?: string | false } = {},
): void {
  describe(`${name} keeps the contract of hypervisors that keep their own disks`, options, () => {
    let made: ForestUnderTest
    let lab: ForestLab
    before(async () => {
      made = await makeDriver()
      lab = await aLab(made)
    })
    after(() => made.dispose())

    capabilityRow(name, () => made.driver.capabilities)

    test('the inventory has hosts, pools, networks and machines, and each host and pool is found again', async () => {
      const isTold = async () => (await lab.forest.inventory()).machines.some(({ isTemplate }) => isTemplate)
      await within(1000, isTold)
      const { hosts, pools, networks, machines } = await lab.forest.inventory()
      for (const ref of made.hosts) {
        const found = hosts.find(each => each.name === ref.name)
        assert.equal(found?.state, 'Up')
        assert.ok(found.facts.cpus > 0 && found.facts.memoryMib > 0 && found.facts.hypervisorVersion !== '')
        assert.deepEqual(await made.driver.hosts.facts(ref), found.facts)
        assert.ok((await made.driver.hosts.memory(ref)).availableBytes > 0)
      }
      const pool = pools.find(({ path }) => path === made.pool.path)
      assert.ok(pool?.problem === null && pool.totalBytes > 0)
      const { totalBytes, freeBytes } = await made.driver.pools.space(made.pool)
      assert.ok(totalBytes === pool.totalBytes && freeBytes > 0 && freeBytes <= totalBytes)
      assert.ok(networks.includes(made.network))
      const template = machines.find(({ isTemplate }) => isTemplate)
      assert.ok(template && template.vm === null && template.path.startsWith('/'))
    })

    test('a host and a pool that are not there are out of reach', async () => {
      const stranger = { id: newId<'host'>(), name: 'nobody' }
      await assert.rejects(made.driver.hosts.facts(stranger), { kind: 'unavailable', code: 'host-silent' })
      const missing = { kind: 'unavailable', code: 'pool-missing' }
      await assert.rejects(made.driver.pools.space({ id: newId(), path: 'nothing' }), missing)
      await assert.rejects(made.driver.pools.prepare({ id: newId(), path: 'nothing' }), missing)
    })

    test('what is asked of layers is refused', async () => {
      const layer = { pool: made.pool, id: newId<'layer'>() }
      const refusal = { kind: 'unsupported', code: 'own-disks' }
      await assert.rejects(made.driver.layers.blank(layer, 2 ** 20, { accountNumber: 1 }), refusal)
      await assert.rejects(made.driver.images.inspect('/x', 'qcow2', 1), refusal)
      assert.deepEqual(await made.driver.layers.list(made.pool), [])
    })

    test('a machine becomes a template, and is one when asked again', async () => {
      const [foreign, template] = [await made.aForeignMachine(), aTemplate()]
      const facts = await lab.forest.adopt(template, foreign, following)
      assert.deepEqual(places(facts.disks), [0, 1])
      assert.ok(facts.cpus > 0 && facts.memoryMib > 0 && !facts.withMemory)
      assert.deepEqual(await lab.forest.adopt(template, foreign, following), facts)
      for (const _ of twice) await lab.forest.disown(template)
      await assert.rejects(lab.forest.spawn(lab.aSpawn(template, 'full'), following), { kind: 'unavailable' })
    })

    test('what is not there, or runs, does not become a template', async () => {
      const refused = { kind: 'invalid', code: 'unknown-foreign' }
      await assert.rejects(lab.forest.adopt(aTemplate(), 'nothing', following), refused)
      const { vm } = await lab.running()
      const find = async () => (await lab.forest.inventory()).machines.find(each => each.vm === vm)
      await within(1000, async () => (await find())?.power === 'on')
      const ours = (await find())!
      const running = { kind: 'refused', code: 'machine-running' }
      await assert.rejects(lab.forest.adopt(aTemplate(), ours.foreign, following), running)
      await lab.removed(vm)
    })

    test('a full clone stands on nothing, is off, and is made once', async () => {
      const wanted = lab.aSpawn(lab.template, 'full')
      const made1 = await lab.forest.spawn(wanted, following)
      assert.deepEqual(places(made1.disks), [0, 1])
      assert.ok(made1.disks.every(({ depth }) => depth === 1))
      assert.deepEqual(await lab.forest.spawn(wanted, following), made1)
      const { vm } = wanted.machine
      assert.deepEqual(await lab.forest.disks(vm), made1.disks)
      assert.equal((await lab.driver.machines.facts(vm)).power, 'off')
      assert.equal((await lab.driver.machines.list()).filter(each => each.vm === vm).length, 1)
      await lab.removed(vm)
      assert.equal(await lab.forest.disks(vm), null)
      assert.equal(await lab.forest.snapshots(vm), null)
    })

    test('linked clones share their base and no other file, until they are flattened', async () => {
      const [one, other] = [await lab.aClone('linked'), await lab.aClone('linked')]
      const [first, second] = await Promise.all([one, other].map(async ({ vm }) => (await lab.forest.disks(vm))![0]!))
      assert.ok(first!.depth > 1 && second!.depth > 1)
      assert.equal(first!.files[0], second!.files[0])
      assert.notEqual(first!.files.at(-1), second!.files.at(-1))
      for (const _ of twice) {
        const { disks } = await lab.forest.flatten(one.vm, following)
        assert.ok(disks.every(({ depth }) => depth === 1))
        assert.deepEqual(await lab.forest.disks(one.vm), disks)
      }
      assert.equal((await lab.forest.disks(other.vm))?.[0]?.depth, second!.depth)
      await lab.removed(one.vm, other.vm)
    })

    test('a clone has the disks that are asked for, and those keep their places', async () => {
      const wanted = lab.aSpawn(lab.template, 'full', { disks: [1] })
      assert.equal((await lab.forest.spawn(wanted, following)).disks.length, 1)
      const root = lab.aSpawn(lab.template, 'linked', { disks: [0] })
      assert.deepEqual(places((await lab.forest.spawn(root, following)).disks), [0])
      await lab.removed(wanted.machine.vm, root.machine.vm)
    })

    test('the root disk of a full clone may be larger, that of a linked one not', async () => {
      const { virtualBytes } = (await lab.forest.adopt(lab.template, foreignOf(lab), following)).disks[0]!
      const rootBytes = virtualBytes * 2
      const wanted = lab.aSpawn(lab.template, 'full', { rootBytes })
      for (const _ of twice) assert.equal((await lab.forest.spawn(wanted, following)).disks[0]?.virtualBytes, rootBytes)
      const linked = lab.aSpawn(lab.template, 'linked', { rootBytes })
      await assert.rejects(lab.forest.spawn(linked, following), { kind: 'refused' })
      assert.equal(await lab.forest.disks(linked.machine.vm), null)
      await lab.removed(wanted.machine.vm)
    })

    test('a clone that is aborted leaves nothing', async () => {
      const wanted = lab.aSpawn(lab.template, 'full')
      await assert.rejects(lab.forest.spawn(wanted, { ...following, signal: AbortSignal.abort() }))
      assert.equal(await lab.forest.disks(wanted.machine.vm), null)
    })

    test('a machine starts as described, starts again, stops, and stops again', async () => {
      const machine = await lab.aClone('linked')
      const larger = { ...machine, cpus: 2, memoryMib: 128 }
      const started = await lab.forest.start(larger, signal)
      assert.deepEqual([started.power, started.host], ['on', machine.host.id])
      assert.deepEqual(await lab.forest.start(larger, signal), started)
      assert.deepEqual(await lab.driver.machines.facts(machine.vm), started)
      const node = lab.aSnapshot(machine.vm)
      const { cpus, memoryMib } = await lab.forest.fork(node, { name: 's', memory: false, quiesce: false }, following)
      assert.deepEqual([cpus, memoryMib], [2, 128])
      await lab.forest.prune(node, following)
      await assert.rejects(lab.driver.machines.discard(machine.vm), { kind: 'refused', code: 'machine-running' })
      for (const _ of twice) await lab.driver.machines.stop(machine.vm, 0, signal)
      await lab.forest.start(larger, signal)
      await lab.driver.machines.stop(machine.vm, 10_000, signal) // the guest goes off by itself
      assert.equal((await lab.driver.machines.facts(machine.vm)).power, 'off')
      for (const _ of twice) await lab.driver.machines.discard(machine.vm)
    })

    test('a machine that is not there does not start, is off, and is discarded', async () => {
      const machine = lab.aMachine()
      await assert.rejects(lab.forest.start(machine, signal), { kind: 'unavailable' })
      assert.equal((await lab.driver.machines.facts(machine.vm)).power, 'off')
      await lab.driver.machines.stop(machine.vm, 0, signal)
      await lab.driver.machines.discard(machine.vm)
    })

    test('a network that is not there is refused, and nothing is made', async () => {
      const machine = lab.aMachine({ plugs: [{ deviceId: 0, mac: '02:00:4c:00:00:02', network: 'nowhere' }] })
      const wanted = lab.aSpawn(lab.template, 'full', { machine })
      await assert.rejects(lab.forest.spawn(wanted, following), { kind: 'refused' })
      assert.equal(await lab.forest.disks(machine.vm), null)
    })

    test('a machine migrates to a host and stays there; one that is off does not', async () => {
      const { vm } = await lab.running()
      const to = made.hosts.at(-1)!
      for (const _ of twice) assert.equal((await lab.driver.machines.migrate(vm, to, signal)).host, to.id)
      await assert.rejects(lab.driver.machines.migrate(vm, made.hosts[0], AbortSignal.abort()))
      assert.equal((await lab.driver.machines.facts(vm)).host, to.id)
      await lab.driver.machines.stop(vm, 0, signal)
      await assert.rejects(lab.driver.machines.migrate(vm, made.hosts[0], signal), { code: 'machine-off' })
      await lab.removed(vm)
    })

    test('power that somebody else switched is reported once, and ours is not', async () => {
      const { vm } = await lab.running()
      const seen: PowerChange[] = []
      const stop = lab.driver.onPowerChange(change => change.vm === vm && seen.push(change))
      await made.switchPower(vm, 'off')
      await within(1000, () => seen.length > 0)
      assert.equal(seen[0]?.power, 'off')
      assert.notEqual(seen[0].reason, '')
      await made.switchPower(vm, 'on')
      await within(1000, () => seen.length > 1)
      await lab.removed(vm)
      await new Promise(resolve => setTimeout(resolve, 300))
      assert.deepEqual(
        seen.map(({ power }) => power),
        ['off', 'on'],
      )
      stop()
    })

    test('what changes in the inventory is told within a second', async () => {
      let told = 0
      const stop = lab.forest.onInventoryChange(() => told++)
      const { vm } = await lab.aClone('linked')
      await within(1000, () => told > 0)
      stop()
      const mine = async () => (await lab.forest.inventory()).machines.some(each => each.vm === vm)
      await within(1000, mine)
      await lab.removed(vm)
      await within(1000, async () => !(await mine()))
    })

    test('each task of the hypervisor is told at its start and at its end', async () => {
      const tasks: ForeignTask[] = []
      const stop = lab.forest.onTask(task => tasks.push(task))
      const { vm } = await lab.running()
      stop()
      const mine = tasks.filter(each => each.vm === vm)
      assert.ok(mine.length >= 4 && mine.every(({ id, name: done }) => id !== '' && done !== ''))
      for (const { id, outcome } of mine.filter(task => task.outcome === null))
        assert.deepEqual([outcome, mine.findLast(each => each.id === id)?.outcome], [null, 'success'])
      await lab.removed(vm)
    })

    test('machines are found again when asked twice', async () => {
      const { vm } = await lab.running()
      for (const _ of twice) assert.equal((await lab.driver.machines.adopt()).find(each => each.vm === vm)?.power, 'on')
      await lab.removed(vm)
    })

    test('an instant clone runs beside its source, with cards of its own, and is made once; or is refused', async () => {
      const source = await lab.running()
      const machine = lab.aMachine()
      const wanted = { machine, from: { kind: 'vm', id: source.vm }, pool: made.pool } as const
      if (!lab.driver.capabilities.instantClone)
        await assert.rejects(lab.forest.instant(wanted, following), { kind: 'unsupported' })
      else {
        const clone = await lab.forest.instant(wanted, following)
        assert.equal(clone.power, 'on')
        assert.ok(clone.disks.every(({ depth }) => depth > 1))
        assert.ok(!clone.isOfFrozen && clone.unconfirmed.length > 0)
        await assert.rejects(lab.driver.machines.discard(source.vm), { code: 'machine-running' })
        assert.deepEqual(await lab.forest.instant(wanted, following), clone)
        assert.equal((await lab.driver.machines.facts(source.vm)).power, 'on')
        await lab.removed(machine.vm)
      }
      await lab.removed(source.vm)
    })

    test('linked clones of a machine that runs share a fork of it, which is no VM snapshot, and goes when they are gone', async () => {
      const source = await lab.running()
      const fork = { kind: 'fork', id: newId<'fork'>(), vm: source.vm } as const
      const [first, second] = [lab.aSpawn(fork, 'linked'), lab.aSpawn(fork, 'linked')]
      const [facts] = await Promise.all([first, second].map(wanted => lab.forest.spawn(wanted, following)))
      assert.ok(facts?.disks.every(({ depth }) => depth > 1))
      assert.deepEqual(await lab.forest.spawn(first, following), facts)
      assert.deepEqual(await lab.forest.snapshots(source.vm), [])
      assert.equal(await lab.forest.tidy(source.vm, following), 0)
      await lab.removed(first.machine.vm, second.machine.vm)
      for (const gone of [1, 0]) assert.equal(await lab.forest.tidy(source.vm, following), gone)
      await lab.removed(source.vm)
      assert.equal(await lab.forest.tidy(source.vm, following), 0)
    })

    test('files that instant clones left are merged once those are gone, and copied out of while they are there', async () => {
      if (!lab.driver.capabilities.instantClone) return
      const source = await lab.running()
      const depths = async () => ((await lab.forest.disks(source.vm)) ?? []).map(({ depth }) => depth)
      const [fresh, operation] = [await depths(), newId()]
      assert.equal((await lab.forest.shorten(source.vm, operation, following)).way, null)
      const clone = async () => {
        const machine = lab.aMachine()
        await lab.forest.instant({ machine, from: { kind: 'vm', id: source.vm }, pool: made.pool }, following)
        return machine.vm
      }
      for (const _ of twice) await lab.removed(await clone())
      assert.deepEqual(
        await depths(),
        fresh.map(depth => depth + 2),
      )
      assert.equal((await lab.forest.shorten(source.vm, operation, following)).way, 'merge')
      assert.deepEqual(await depths(), fresh)
      assert.deepEqual(await lab.forest.snapshots(source.vm), [])
      const stays = await clone()
      const its = await lab.forest.disks(stays)
      assert.equal((await lab.forest.shorten(source.vm, newId(), following)).way, 'promote')
      assert.ok((await depths()).every(depth => depth === 1))
      assert.deepEqual(await lab.forest.disks(stays), its)
      assert.equal((await lab.forest.shorten(source.vm, newId(), following)).way, null)
      await lab.removed(stays, source.vm)
    })

    test('a full clone of a machine that runs is off, and stands on nothing', async () => {
      const source = await lab.running()
      const wanted = lab.aSpawn({ kind: 'vm', id: source.vm }, 'full')
      const { disks } = await lab.forest.spawn(wanted, following)
      assert.deepEqual([places(disks), ...disks.map(({ depth }) => depth)], [[0, 1], 1, 1])
      assert.equal((await lab.driver.machines.facts(source.vm)).power, 'on')
      await lab.removed(wanted.machine.vm, source.vm)
    })

    forestDevices(() => lab)
    forestSnapshots(() => lab)
  })
}

const foreigns = new WeakMap<ForestLab, string>()
const foreignOf = (lab: ForestLab) => foreigns.get(lab) ?? ''

async function aLab(made: ForestUnderTest): Promise<ForestLab> {
  const { driver } = made
  const { forest } = driver
  assert.ok(forest)
  const template = aTemplate()
  const foreign = await made.aForeignMachine()
  await driver.pools.prepare(made.pool)
  await forest.adopt(template, foreign, following)
  let count = 0

  function aMachine(about: Partial<ForestMachine> = {}): ForestMachine {
    count++
    return {
      vm: newId<'vm'>(),
      host: made.hosts[0],
      name: `web-${count}`,
      cpus: 1,
      memoryMib: 64,
      plugs: [{ deviceId: 0, mac: `02:00:4c:00:01:${count.toString(16).padStart(2, '0')}`, network: made.network }],
      cdrom: null,
      firstBoot: { instanceId: 'i-1', hostname: `web-${count}`, sshKeys: [], passwordHash: null, userData: null },
      ...about,
    }
  }

  function aSpawn(from: Spawn['from'], cloneType: Spawn['cloneType'], about: Partial<Spawn> = {}): Spawn {
    return { machine: aMachine(), from, pool: made.pool, cloneType, rootBytes: null, disks: [0, 1], ...about }
  }

  async function aClone(cloneType: Spawn['cloneType']): Promise<ForestMachine> {
    const wanted = aSpawn(template, cloneType)
    await forest!.spawn(wanted, following)
    return wanted.machine
  }

  async function running(): Promise<ForestMachine> {
    const machine = await aClone('linked')
    await forest!.start(machine, signal)
    return machine
  }

  async function removed(...vms: VmId[]): Promise<void> {
    for (const vm of vms) {
      await driver.machines.stop(vm, 0, signal)
      await driver.machines.discard(vm)
    }
  }

  const aSnapshot = (vm: VmId): SnapshotNode => ({ kind: 'vm-snapshot', id: newId<'vm-snapshot'>(), vm })
  const lab = { made, driver, forest, template, aMachine, aSpawn, aClone, running, aSnapshot, removed }
  foreigns.set(lab, foreign)
  return lab
}

function aTemplate(): TemplateNode {
  return { kind: 'template', id: newId<'template'>() }
}

function places(disks: readonly DiskFacts[]): number[] {
  return disks.map(({ deviceId }) => deviceId)
}

/** What is due within so long; a busy machine is given ten times that. */
async function within(ms: number, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10 * ms
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `not within ${ms} ms`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
