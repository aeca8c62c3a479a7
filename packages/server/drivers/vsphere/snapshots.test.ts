// On vcsim with our extension, which does to the disks what VMware documents (test/vcenter/extension.go).
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type TestMachines, aWish, testMachines, twice } from './a-machine.ts'
import { noVcenter } from './a-vcenter.ts'
import { depthOf } from './devices.ts'
import { powerOn } from './power.ts'
import { takeQuietly } from './quiesce.ts'
import { revertOnce } from './revert.ts'
import { consolidate, readSnapshots, removeAllSnapshots, removeSnapshot, takeSnapshot } from './snapshots.ts'

describe('snapshots and what they do to the disks', { skip: noVcenter() }, () => {
  let lab: TestMachines
  before(async () => (lab = await testMachines('-levels', '5')))
  after(() => lab.close())

  test('snapshots form a tree, each is taken once, and a revert begins a branch', async () => {
    const vm = await lab.aMachine()
    await powerOn(lab.vcenter, vm)
    const a = await takeSnapshot(lab.vcenter, vm, aWish('a', true))
    const b = await takeSnapshot(lab.vcenter, vm, aWish('b'))
    assert.deepEqual([a.withMemory, b.withMemory, b.parent, b.current], [true, false, a.ref, true])
    const wish = aWish('c')
    await revertOnce(lab.vcenter, vm, b, false, 'to-b')
    assert.equal(await lab.powerOf(vm), 'poweredOff')
    await revertOnce(lab.vcenter, vm, a, false, 'to-a')
    assert.equal(await lab.powerOf(vm), 'poweredOn')
    for (const _ of twice) assert.equal((await takeSnapshot(lab.vcenter, vm, wish)).parent, a.ref)
    await lab.vcenter.run(vm, 'CreateSnapshot_Task', { name: 'b', memory: false, quiesce: false })
    const nodes = await readSnapshots(lab.vcenter, vm)
    assert.deepEqual(
      nodes.map(({ name, id }) => [name, id !== null]),
      [
        ['a', true],
        ['b', true],
        ['c', true],
        ['b', false],
      ],
    )
    assert.equal(depthOf(await lab.devicesOf(vm)), 4)
    for (const _ of twice) await removeSnapshot(lab.vcenter, vm, nodes[2]!.ref, false)
    assert.equal(depthOf(await lab.devicesOf(vm)), 3)
    assert.deepEqual(
      (await readSnapshots(lab.vcenter, vm)).map(({ name, parent }) => [name, parent]),
      [
        ['a', null],
        ['b', a.ref],
        ['b', a.ref],
      ],
    )
    await removeSnapshot(lab.vcenter, vm, a.ref, true)
    assert.deepEqual([await readSnapshots(lab.vcenter, vm), depthOf(await lab.devicesOf(vm))], [[], 1])
    for (const _ of twice) await removeAllSnapshots(lab.vcenter, vm)
    await lab.removed(vm)
  })

  test('snapshots end at the deepest level, with a sentence', async () => {
    const vm = await lab.aMachine()
    for (let level = 1; level <= 5; level++) await takeSnapshot(lab.vcenter, vm, aWish(`level-${level}`))
    await assert.rejects(takeSnapshot(lab.vcenter, vm, aWish('one more')), {
      kind: 'refused',
      code: 'vsphere-snapshot-levels',
    })
    await removeAllSnapshots(lab.vcenter, vm)
    assert.equal(depthOf(await lab.devicesOf(vm)), 1)
    await lab.removed(vm)
  })

  test('file systems are brought to rest where tools can do that; else the snapshot is taken all the same, and it is told', async () => {
    const vm = await lab.aMachine()
    const take = (memory = false) =>
      takeQuietly(lab.vcenter, vm, { ...aWish(`quiet-${globalThis.crypto.randomUUID()}`, memory), quiesce: true }, {})
    const tools = async (status: string) => {
      const extraConfig = [{ key: 'SET.guest.toolsRunningStatus', value: status }]
      await lab.vcenter.run(vm, 'ReconfigVM_Task', { spec: { extraConfig } })
    }
    assert.equal(await take(), null, 'nobody writes on a machine that is off')
    await powerOn(lab.vcenter, vm)
    await tools('guestToolsNotRunning')
    assert.equal(await take(), 'agent-missing')
    await tools('guestToolsRunning')
    assert.equal(await take(), 'quiesced')
    await lab.server.trouble({ method: 'CreateSnapshot_Task', act: 'fault', fault: 'FilesystemQuiesceFault' })
    assert.equal(await take(), 'failed')
    assert.equal((await readSnapshots(lab.vcenter, vm)).length, 4)
    assert.equal(await take(true), 'failed', 'memory and rest exclude each other there')
    await removeAllSnapshots(lab.vcenter, vm)
    await lab.removed(vm)
  })

  test('disks that were left unmerged are consolidated when the server says so', async () => {
    const vm = await lab.aMachine()
    await takeSnapshot(lab.vcenter, vm, aWish('a'))
    await lab.vcenter.run(vm, 'RemoveAllSnapshots_Task', { consolidate: false })
    assert.equal(depthOf(await lab.devicesOf(vm)), 2)
    assert.equal(await consolidate(lab.vcenter, vm), true)
    assert.equal(depthOf(await lab.devicesOf(vm)), 1)
    assert.equal(await consolidate(lab.vcenter, vm), false)
    await lab.removed(vm)
  })
})
