// Acts whose end nobody saw, because the connection was cut or the server started anew: each is looked for, and none is done twice.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import { type TestMachines, aWish, testMachines } from './a-machine.ts'
import { noVcenter } from './a-vcenter.ts'
import { cloneMachine } from './clone-machine.ts'
import { depthOf } from './devices.ts'
import { vsphereDriver } from './driver.ts'
import { instantClone, promoteDisks } from './instant-clone.ts'
import { moveToHost, powerOff, powerOn } from './power.ts'
import { revertOnce } from './revert.ts'
import { readSnapshots, removeSnapshot, takeSnapshot } from './snapshots.ts'

const cuts = ['cut-before', 'cut-after'] as const
const unknown = { kind: 'unavailable', code: 'vsphere-outcome-unknown' }

describe('acts whose end nobody saw', { skip: noVcenter() }, () => {
  let lab: TestMachines
  before(async () => (lab = await testMachines()))
  after(() => lab.close())

  /** Cuts the connection at the call of a method, and asks again until it is known to be done. How often the method was called. */
  async function cutting(
    method: string,
    act: 'cut-before' | 'cut-after',
    ask: () => Promise<unknown>,
  ): Promise<number> {
    const earlier = (await lab.server.calls())[method] ?? 0
    await lab.server.trouble({ method, act })
    await ask().catch(error => {
      assert.deepEqual({ kind: error.kind, code: error.code }, unknown)
      return ask()
    })
    return (await lab.server.calls())[method]! - earlier
  }

  test('a revert is done once: what the guest wrote since is not lost', async () => {
    for (const act of cuts) {
      const vm = await lab.aMachine()
      const node = await takeSnapshot(lab.vcenter, vm, aWish('a'))
      const find = async () => (await readSnapshots(lab.vcenter, vm)).find(({ ref }) => ref === node.ref)!
      const revert = async () => revertOnce(lab.vcenter, vm, await find(), false, `revert-${act}`)
      assert.equal(await cutting('RevertToSnapshot_Task', act, revert), act === 'cut-after' ? 1 : 2)
      await powerOn(lab.vcenter, vm)
      await revert()
      assert.equal(await lab.powerOf(vm), 'poweredOn')
      await lab.removed(vm)
    }
  })

  test('a snapshot is taken and removed once', async () => {
    for (const act of cuts) {
      const vm = await lab.aMachine()
      const wish = aWish('a')
      const expected = act === 'cut-after' ? 1 : 2
      assert.equal(await cutting('CreateSnapshot_Task', act, () => takeSnapshot(lab.vcenter, vm, wish)), expected)
      const [node, ...more] = await readSnapshots(lab.vcenter, vm)
      assert.deepEqual([node?.id, more.length], [wish.id, 0])
      const remove = () => removeSnapshot(lab.vcenter, vm, node!.ref, false)
      assert.equal(await cutting('RemoveSnapshot_Task', act, remove), expected)
      assert.equal(depthOf(await lab.devicesOf(vm)), 1)
      await lab.removed(vm)
    }
  })

  test('linked and instant clones are made once', async () => {
    for (const act of cuts) {
      const source = await lab.aMachine()
      const { ref: snapshot } = await takeSnapshot(lab.vcenter, source, aWish('base'))
      const request = lab.aClone(source, { kind: 'linked', snapshot })
      const expected = act === 'cut-after' ? 1 : 2
      assert.equal(await cutting('CloneVM_Task', act, () => cloneMachine(lab.vcenter, request)), expected)
      const { vm } = await cloneMachine(lab.vcenter, request)
      await cutting('PromoteDisks_Task', act, () => promoteDisks(lab.vcenter, vm))
      assert.equal(depthOf(await lab.devicesOf(vm)), 1)
      await powerOn(lab.vcenter, source)
      const { name, operation, folder, pool } = lab.aClone(source, { kind: 'full' })
      const instant = () => instantClone(lab.vcenter, { source, name, operation, folder, pool, guestInfo: {} })
      assert.equal(await cutting('InstantClone_Task', act, instant), expected)
      for (const each of [(await instant()).vm, vm, source]) await lab.removed(each)
    }
  })

  test('a seed of a VM snapshot is made once, whichever step of it nobody saw the end of', async () => {
    const driver = await vsphereDriver({ ...lab.server, cluster: 'DC0/DC0_C0' })
    const { forest, machines } = driver
    const following = { progress: () => {}, signal: new AbortController().signal }
    const { hosts, pools } = await forest.inventory()
    const host = { id: newId<'host'>(), name: hosts[0]!.name }
    const template = { kind: 'template', id: newId<'template'>() } as const
    await forest.adopt(template, (await lab.aMachine()).slice('VirtualMachine:'.length), following)
    const firstBoot = { instanceId: 'i', hostname: 'web', sshKeys: [], passwordHash: null, userData: null }
    const vm = newId<'vm'>()
    const machine = { vm, host, name: 'seeded', cpus: 1, memoryMib: 64, plugs: [], cdrom: null, firstBoot }
    const pool = { id: newId<'storage-pool'>(), path: pools[0]!.path }
    const from = { machine, from: template, pool, cloneType: 'linked', rootBytes: null, disks: [0] } as const
    await forest.spawn(from, following)
    const of = { kind: 'vm-snapshot', id: newId<'vm-snapshot'>(), vm } as const
    await forest.fork(of, { name: 'a', memory: false, quiesce: false }, following)
    for (const method of ['CloneVM_Task', 'CreateSnapshot_Task', 'MarkAsTemplate'])
      for (const act of cuts) {
        const seed = { kind: 'seed', id: newId<'layer'>() } as const
        const make = () => forest.seed(seed, of, host, following)
        assert.equal(await cutting(method, act, make), act === 'cut-after' ? 1 : 2, `${method} ${act}`)
        assert.deepEqual(
          (await make()).disks.map(({ depth }) => depth),
          [1],
        )
        await cutting('Destroy_Task', act, () => forest.unseed(seed))
      }
    await forest.prune(of, following)
    await machines.discard(vm)
    await driver.close()
  })

  test('power and place end as asked', async () => {
    for (const act of cuts) {
      const vm = await lab.aMachine()
      await cutting('PowerOnVM_Task', act, () => powerOn(lab.vcenter, vm))
      assert.equal(await lab.powerOf(vm), 'poweredOn')
      await cutting('RelocateVM_Task', act, () => moveToHost(lab.vcenter, vm, lab.hosts[1]!))
      await cutting('PowerOffVM_Task', act, () => powerOff(lab.vcenter, vm))
      assert.equal(await lab.powerOf(vm), 'poweredOff')
      await lab.removed(vm)
    }
  })
})
