// On vcsim with our extension, which does to the disks what VMware documents (test/vcenter/extension.go).
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type TestMachines, aWish, testMachines, twice } from './a-machine.ts'
import { noVcenter } from './a-vcenter.ts'
import { cloneMachine } from './clone-machine.ts'
import { chainOf, depthOf, disksOf, isIndependent } from './devices.ts'
import { instantClone, promoteDisks } from './instant-clone.ts'
import { powerOn } from './power.ts'
import { removeAllSnapshots, takeSnapshot } from './snapshots.ts'
import { readObject } from './vim25/properties.ts'

describe('clones that share disks', { skip: noVcenter() }, () => {
  let lab: TestMachines
  before(async () => (lab = await testMachines()))
  after(() => lab.close())

  test('a linked clone stands on the snapshot, and nothing of it is on the disk that the source writes', async () => {
    const source = await lab.aMachine()
    const base = await takeSnapshot(lab.vcenter, source, aWish('base'))
    const { config } = await readObject(lab.vcenter.connection, base.ref, ['config'])
    const frozen = chainOf(disksOf(config?.hardware.device)[0]!)
    const request = lab.aClone(source, { kind: 'linked', snapshot: base.ref })
    const [made, other] = [await cloneMachine(lab.vcenter, request), await lab.aLinkedClone(source, base.ref)]
    assert.deepEqual(made.disks[0]?.chain.slice(1), frozen)
    assert.deepEqual(other.disks[0]?.chain.slice(1), frozen)
    assert.notEqual(made.disks[0]?.chain[0], other.disks[0]?.chain[0])
    assert.notEqual(chainOf(disksOf(await lab.devicesOf(source))[0]!)[0], frozen[0])
    for (const { vm } of [made, other]) await lab.removed(vm)
    await removeAllSnapshots(lab.vcenter, source)
  })

  test('a linked clone has a copy of a disk that snapshots leave out, and leaves out what is not wanted', async () => {
    const source = await lab.aMachine()
    await lab.addDisk(source, 'independent_persistent')
    await lab.addDisk(source, 'persistent')
    const base = await takeSnapshot(lab.vcenter, source, aWish('base'))
    const [root, apart] = disksOf(await lab.devicesOf(source))
    assert.ok(isIndependent(apart!))
    const request = lab.aClone(source, { kind: 'linked', snapshot: base.ref, disks: [root!.key, apart!.key] })
    const made = await cloneMachine(lab.vcenter, request)
    assert.deepEqual(
      made.disks.map(({ chain }) => chain.length),
      [2, 1],
    )
    await lab.removed(made.vm)
    await lab.removed(source)
  })

  test('a linked clone without a snapshot is refused by the server', async () => {
    const request = lab.aClone(await lab.aMachine(), { kind: 'linked' })
    await assert.rejects(cloneMachine(lab.vcenter, request), { kind: 'internal', code: 'vsphere-fault' })
  })

  test('a clone of a snapshot has the disks and sizes of that time', async () => {
    const vm = await lab.aMachine()
    const then = await takeSnapshot(lab.vcenter, vm, aWish('then'))
    await lab.addDisk(vm, 'persistent')
    await lab.vcenter.run(vm, 'ReconfigVM_Task', { spec: { memoryMB: 512 } })
    const { config } = await readObject(lab.vcenter.connection, then.ref, ['config'])
    const made = await cloneMachine(lab.vcenter, lab.aClone(vm, { kind: 'full', snapshot: then.ref }))
    const { config: now } = await readObject(lab.vcenter.connection, made.vm, ['config'])
    assert.equal(now?.hardware.memoryMB, config?.hardware.memoryMB)
    assert.deepEqual(
      made.disks.map(({ chain }) => chain.length),
      [1],
    )
    for (const each of [made.vm, vm]) await lab.removed(each)
  })

  test('a linked clone is promoted to disks of its own', async () => {
    const source = await lab.aMachine()
    const base = await takeSnapshot(lab.vcenter, source, aWish('base'))
    const { vm } = await lab.aLinkedClone(source, base.ref)
    for (const _ of twice) await promoteDisks(lab.vcenter, vm)
    assert.equal(depthOf(await lab.devicesOf(vm)), 1)
    for (const each of [vm, source]) await lab.removed(each)
  })

  test('an instant clone runs, is told what it asked for, is made once, and deepens its source', async () => {
    const source = await lab.aMachine()
    const { folder, pool, name, operation } = lab.aClone(source, { kind: 'full' })
    const request = {
      source,
      name,
      folder,
      pool,
      guestInfo: { ip: '192.0.2.7' },
      operation,
    }
    await assert.rejects(instantClone(lab.vcenter, request), { kind: 'refused', code: 'vsphere-wrong-state' })
    await powerOn(lab.vcenter, source)
    const { vm: made } = await instantClone(lab.vcenter, request)
    assert.deepEqual(await instantClone(lab.vcenter, request), { vm: made, isOfFrozen: false })
    assert.equal(await lab.powerOf(made), 'poweredOn')
    const { config } = await readObject(lab.vcenter.connection, made, ['config'])
    assert.equal(config?.extraConfig?.find(({ key }) => key === 'guestinfo.ip')?.value, '192.0.2.7')
    assert.deepEqual([depthOf(await lab.devicesOf(source)), depthOf(await lab.devicesOf(made))], [2, 2])
    for (const each of [made, source]) await lab.removed(each)
  })
})
