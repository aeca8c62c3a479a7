// A vCenter that is started anew while it works, and has lost its inventory: what was under way fails, what was there is gone, nothing is
// done again, and no machine of somebody else's is taken for ours because it has the name there that one of ours had.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import { eventually } from '../../testing/eventually.ts'
import type { PowerChange } from '../driver.ts'
import type { ForestMachine, NodeRef, Spawn } from '../forest.ts'
import { type MachineRef, type TestMachines, testMachines } from './a-machine.ts'
import { noVcenter } from './a-vcenter.ts'
import { type VsphereDriver, vsphereDriver } from './driver.ts'
import { powerOn } from './power.ts'

const following = { progress: () => {}, signal: new AbortController().signal }
const options = ['-machines', '1', '-task-delay', '150']

describe('a vCenter that is started anew without its inventory', { skip: noVcenter() }, () => {
  let lab: TestMachines
  let driver: VsphereDriver
  before(async () => {
    lab = await testMachines(...options)
    driver = await vsphereDriver({ ...lab.server, cluster: 'DC0/DC0_C0' })
  })
  after(async () => {
    await driver.close()
    await lab.close()
  })

  let count = 0
  async function aSpawn(from: NodeRef, cloneType: Spawn['cloneType']): Promise<Spawn> {
    const { hosts, pools } = await driver.forest.inventory()
    const host = { id: newId<'host'>(), name: hosts[0]!.name }
    const firstBoot = { instanceId: 'i', hostname: 'web', sshKeys: [], passwordHash: null, userData: null }
    const sizes = { cpus: 1, memoryMib: 64, plugs: [], cdrom: null, firstBoot }
    const machine: ForestMachine = { vm: newId<'vm'>(), host, name: `web-${++count}`, ...sizes }
    const pool = { id: newId<'storage-pool'>(), path: pools[0]!.path }
    return { machine, from, pool, cloneType, rootBytes: null, disks: [0] }
  }
  async function aTemplate(): Promise<NodeRef> {
    const template = { kind: 'template', id: newId<'template'>() } as const
    await driver.forest.adopt(template, (await lab.aMachine()).slice('VirtualMachine:'.length), following)
    return template
  }
  async function aMachine(from: NodeRef): Promise<ForestMachine> {
    const wanted = await aSpawn(from, 'linked')
    await driver.forest.spawn(wanted, following)
    return wanted.machine
  }
  const refOf = async ({ vm }: ForestMachine) =>
    (await driver.forest.inventory()).machines.find(each => each.vm === vm)?.foreign ?? null

  test('what was under way fails, and is not done again; what was there is told to be gone', async () => {
    const template = await aTemplate()
    const [one, other] = [await aMachine(template), await aMachine(template)]
    for (const each of [one, other]) await driver.forest.start(each, following.signal)
    const [then, later, forSeed] = [one, one, other].map(
      ({ vm }) => ({ kind: 'vm-snapshot', id: newId<'vm-snapshot'>(), vm }) as const,
    )
    const wish = { memory: false, quiesce: false }
    for (const node of [then!, forSeed!]) await driver.forest.fork(node, { ...wish, name: 'then' }, following)
    const wanted = await aSpawn(template, 'full')
    const seed = { kind: 'seed', id: newId<'layer'>() } as const
    const acts = [
      () => driver.forest.spawn(wanted, following),
      () => driver.forest.fork(later!, { ...wish, name: 'later' }, following),
      () => driver.forest.seed(seed, forSeed!, other.host, following),
    ]
    const news: PowerChange[] = []
    driver.onPowerChange(change => news.push(change))
    const earlier = await lab.server.calls()
    const underWay = acts.map(act =>
      act().then(
        () => 'done',
        (error: Error) => error,
      ),
    )
    await eventually('all are under way', async () => {
      const calls = await lab.server.calls()
      const begun = (method: string) => (calls[method] ?? 0) - (earlier[method] ?? 0)
      return begun('CloneVM_Task') === 2 && begun('CreateSnapshot_Task') === 1
    })
    await lab.server.restart(...options)
    for (const ended of await Promise.all(underWay))
      assert.equal((ended as { kind?: string }).kind, 'unavailable', String(ended))

    await eventually('they are told to be off', async () => news.length >= 2)
    assert.deepEqual(
      new Set(news.map(({ vm, power }) => `${vm} ${power}`)),
      new Set([one, other].map(({ vm }) => `${vm} off`)),
    )
    const strangers = [await lab.aMachine(), await lab.aMachine()]
    for (const each of strangers) await powerOn(lab.vcenter, each)
    const untouched = await lab.server.calls()
    for (const { vm } of [one, other]) {
      assert.deepEqual([await driver.forest.disks(vm), await driver.forest.snapshots(vm)], [null, null])
      assert.equal((await driver.machines.facts(vm)).power, 'off')
      await driver.machines.stop(vm, 0, following.signal)
      await driver.machines.discard(vm)
    }
    for (const act of acts) await assert.rejects(act(), { kind: 'unavailable' })
    assert.deepEqual(await driver.machines.list(), [])
    const calls = await lab.server.calls()
    for (const method of ['CloneVM_Task', 'CreateSnapshot_Task', 'PowerOffVM_Task', 'Destroy_Task'])
      assert.equal(calls[method], untouched[method], method)
    for (const each of strangers) assert.equal(await lab.powerOf(each), 'poweredOn')
  })

  test('a machine that has the name there that one of ours had is left alone', async () => {
    const machine = await aMachine(await aTemplate())
    const { vm } = machine
    await driver.forest.start(machine, following.signal)
    const ref: MachineRef = `VirtualMachine:${await eventually('its name', () => refOf(machine))}`
    await lab.vcenter.run(ref, 'ReconfigVM_Task', { spec: { instanceUuid: newId<'vm'>() } })
    await driver.machines.stop(vm, 0, following.signal)
    await driver.machines.discard(vm)
    assert.deepEqual([(await driver.machines.facts(vm)).power, await driver.forest.disks(vm)], ['off', null])
    assert.equal(await lab.powerOf(ref), 'poweredOn')
  })

  test('and machines are made in it as before', async () => {
    const machine = await aMachine(await aTemplate())
    assert.equal((await driver.forest.start(machine, following.signal)).power, 'on')
  })
})
