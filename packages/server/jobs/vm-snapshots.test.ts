// VM snapshots as the specification tells them, scenario by scenario, on a simulated hypervisor with real contents: what counts
// is what the guest finds on its two disks and in its memory.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId, type VmId } from '@ramet/core/ids.ts'
import type { Answer } from '../api/command.ts'
import { volumesOf } from '../store/volumes.ts'
import { call, callJob, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { eventually } from '../testing/eventually.ts'
import { type Lab, quiet, simulatedLab, stateOf } from '../testing/lab.ts'
import {
  aTree,
  aTwoDiskMachine,
  found,
  inMind,
  mixed,
  refusal,
  remove,
  revert,
  setting,
  snapshotsOf,
  start,
  stop,
  take,
  tree,
  write,
} from '../testing/vm-snapshots.ts'
import { aUsed, aVolume } from '../testing/volumes.ts'

describe('VM snapshots, by the scenarios of the specification', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab()
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  for (const memory of [true, false])
    for (const state of ['Running', 'Stopped'] as const)
      test(`(1) create with memory ${memory ? 'on' : 'off'}, the machine ${state}`, async () => {
        const vm = await aTwoDiskMachine(lab)
        write(lab, vm, 'then')
        if (state === 'Stopped') await stop(lab, vm)
        const given = { virtualmachineid: vm, name: 'one', description: 'the first', snapshotmemory: memory }
        if (memory && state === 'Stopped') {
          const refused = await refusal(lab, 'createVMSnapshot', given)
          assert.equal(refused['code'], 'memory-of-stopped')
          assert.deepEqual(await snapshotsOf(lab, vm), [])
          return
        }
        const id = await take(lab, vm, 'one', given)
        const [snapshot] = await snapshotsOf(lab, vm)
        assert.equal(snapshot?.['state'], 'Ready')
        assert.equal(snapshot?.['type'], memory ? 'DiskAndMemory' : 'Disk')
        assert.equal(snapshot?.['current'], true)
        assert.match(String(snapshot?.['name']), /^i-\d+-\d+-VM_VS_\d{14}$/)
        assert.equal(snapshot?.['stunms'], state === 'Running' ? 1 : undefined)
        assert.equal(await stateOf(lab, vm), state)
        assert.deepEqual(await found(lab, vm), ['then', 'then'])
        await remove(lab, id)
      })

  for (const state of ['Running', 'Stopped'] as const)
    for (const memory of [true, false])
      test(`(2) revert to the previous one ${memory ? 'with' : 'without'} memory, the machine ${state}`, async () => {
        const vm = await aTwoDiskMachine(lab)
        write(lab, vm, 'then')
        const earlier = await generationOf(vm)
        const id = await take(lab, vm, 'one', { snapshotmemory: memory })
        write(lab, vm, 'now')
        if (state === 'Stopped') await stop(lab, vm)
        await revert(lab, id)
        assert.equal(await stateOf(lab, vm), memory ? 'Running' : 'Stopped')
        assert.deepEqual(await found(lab, vm), ['then', 'then'])
        if (memory) assert.equal(inMind(lab, vm), 'then')
        assert.notEqual(await generationOf(vm), earlier)
        if (!memory) await start(lab, vm)
        write(lab, vm, 'after')
        await revert(lab, id)
        assert.deepEqual(
          await found(lab, vm),
          ['then', 'then'],
          'what was written after a revert is not in the snapshot',
        )
      })

  const generationOf = async (vm: VmId) =>
    (await lab.app.db.selectFrom('vm').select('generation_id').where('id', '=', vm).executeTakeFirstOrThrow())
      .generation_id

  for (const [name, memory] of [
    ['memory on', { A: true, B: true, C: true }],
    ['memory off', { A: false, B: false, C: false }],
    ['mixed', mixed],
  ] as const)
    test(`(3) several form A-(B, C), (4) and the machine reverts to each, running and stopped: ${name}`, async () => {
      const { vm, ...ids } = await aTree(lab, memory)
      assert.deepEqual(await tree(lab, vm), [' > A', 'A > B', 'A > C *'])
      for (const from of ['Running', 'Stopped'] as const)
        for (const to of ['B', 'A', 'C'] as const) {
          const state = await stateOf(lab, vm)
          if (from === 'Stopped' && state === 'Running') await stop(lab, vm)
          if (from === 'Running' && state === 'Stopped') await start(lab, vm)
          await revert(lab, ids[to])
          assert.equal(await stateOf(lab, vm), memory[to] ? 'Running' : 'Stopped')
          assert.deepEqual(await found(lab, vm), [to.toLowerCase(), to.toLowerCase()], `${from} to ${to}`)
          const current = (await snapshotsOf(lab, vm)).filter(each => each['current']).map(each => each['displayname'])
          assert.deepEqual(current, [to])
        }
      await quiet(lab)
      // One layer a node and disk, one that each disk writes, and the two that A stands on.
      assert.equal(await layersOf(vm), 8)
    })

  /** Layers that only this machine uses. */
  async function layersOf(vm: VmId): Promise<number> {
    const { account_id } = await lab.app.db
      .selectFrom('vm')
      .select('account_id')
      .where('id', '=', vm)
      .executeTakeFirstOrThrow()
    const all = await lab.app.db
      .selectFrom('layer')
      .select(['id', 'parent_id'])
      .where('account_id', '=', account_id)
      .execute()
    const named = await lab.app.db
      .selectFrom('vm_snapshot_disk')
      .innerJoin('vm_snapshot', 'vm_snapshot.id', 'vm_snapshot_disk.snapshot_id')
      .select('layer_id as id')
      .where('vm_id', '=', vm)
      .execute()
    const tips = (await volumesOf(lab.app.db, vm)).map(({ layer_id }) => ({ id: layer_id }))
    const mine = new Set<string | null>([...named, ...tips].map(({ id }) => id))
    for (let size = -1; size !== mine.size; ) {
      size = mine.size
      for (const { id, parent_id } of all)
        if (mine.has(id) && all.some(each => each.id === parent_id)) mine.add(parent_id)
    }
    return mine.size
  }

  for (const which of ['the current', 'any', 'all'] as const)
    test(`(5) delete ${which}: no other is affected`, async () => {
      const { vm, A, B, C } = await aTree(lab, mixed)
      const gone = { 'the current': [C], any: [A], all: [A, C, B] }[which]
      for (const id of gone) await remove(lab, id)
      await quiet(lab)
      assert.deepEqual(await found(lab, vm), ['later', 'later'])
      const left = { 'the current': [' > A *', 'A > B'], any: [' > B', ' > C *'], all: [] }[which]
      assert.deepEqual(await tree(lab, vm), left)
      for (const [id, text] of [
        [A, 'a'],
        [B, 'b'],
        [C, 'c'],
      ] as const)
        if (!gone.includes(id)) {
          await revert(lab, id)
          assert.deepEqual(await found(lab, vm), [text, text])
        }
      await quiet(lab)
      assert.equal(await layersOf(vm), { 'the current': 6, any: 8, all: 2 }[which])
      assert.equal((await refusal(lab, 'deleteVMSnapshot', { vmsnapshotid: gone[0] as string }))['code'], 'unknown-id')
    })

  test('(5) a dry run tells files, bytes and dependents, and does nothing', async () => {
    const { vm, A } = await aTree(lab, mixed)
    const { plan } = await call(lab, 'deleteVMSnapshot', { vmsnapshotid: A, dryrun: true })
    const { steps, dependents } = plan as { steps: Answer[]; dependents: Answer[] }
    assert.deepEqual(
      dependents.map(each => each['displayname']),
      ['B', 'C'],
    )
    assert.deepEqual(
      steps.map(step => step['operation']),
      ['keep-hidden', 'keep-hidden'],
    )
    assert.deepEqual(await tree(lab, vm), [' > A', 'A > B', 'A > C *'])
  })

  test('(5) the result of a deletion tells how far its layers are merged', async () => {
    const { vm, C } = await aTree(lab, mixed)
    lab.world.delays.set('machines.merge', 500)
    const { jobid } = await call(lab, 'deleteVMSnapshot', { vmsnapshotid: C })
    const removals = async () => {
      const { jobresult } = await call(lab, 'queryAsyncJobResult', { jobid: jobid as string })
      return ((jobresult as Answer | undefined)?.['removals'] as Answer[] | undefined) ?? null
    }
    const early = await eventually('the snapshot is deleted', removals)
    assert.deepEqual(await tree(lab, vm), [' > A *', 'A > B'])
    assert.deepEqual(
      early.map(each => each['jobstatus']),
      [0, 0],
    )
    await quiet(lab)
    lab.world.delays.delete('machines.merge')
    const late = await removals()
    assert.deepEqual(
      late?.map(({ jobstatus, jobprogress, bytes, movedbytes }) => [jobstatus, jobprogress, bytes === movedbytes]),
      [
        [1, 100, true],
        [1, 100, true],
      ],
    )
  })

  test('(6) attach, detach and resize are refused while there are VM snapshots', async () => {
    const vm = await aTwoDiskMachine(lab)
    const [root, data] = await volumesOf(lab.app.db, vm)
    assert.ok(root && data)
    const id = await take(lab, vm, 'one')
    const other = await aUsed(lab)
    for (const [name, given, code] of [
      ['attachVolume', { id: other, virtualmachineid: vm }, 431],
      ['attachVolume', { id: await aVolume(lab), virtualmachineid: vm }, 431],
      ['detachVolume', { id: data.id }, 431],
      ['resizeVolume', { id: data.id, size: 2 }, 432],
    ] as const) {
      const { errorcode, errortext } = await callJob(lab, name, given)
      assert.equal(errorcode, code, name)
      assert.match(String(errortext), /has a VM snapshot.*delete/)
    }
    await remove(lab, id)
    assert.ok((await callJob(lab, 'detachVolume', { id: data.id }))['volume'])
  })

  for (const rule of ['discard', 'refuse', 'restore'] as const)
    test(`(7) another service offering, vmsnapshot.offering.change = ${rule}`, async () => {
      await setting(lab, 'vmsnapshot.offering.change', rule)
      const vm = await aTwoDiskMachine(lab)
      write(lab, vm, 'then')
      const [disk, memory] = [await take(lab, vm, 'disk'), await take(lab, vm, 'memory', { snapshotmemory: true })]
      await stop(lab, vm)
      const earlier = await sizeOf(vm)
      const offering = await call(lab, 'createServiceOffering', {
        name: newId(),
        displaytext: 'x',
        cpunumber: 2,
        cpuspeed: 500,
        memory: 640,
      })
      const given = { id: vm, serviceofferingid: (offering['serviceoffering'] as Answer)['id'] as string }
      const answer = await callJob(lab, 'scaleVirtualMachine', given)
      await quiet(lab)
      const names = (await snapshotsOf(lab, vm)).map(each => String(each['displayname'])).toSorted()
      if (rule === 'refuse') {
        assert.equal(answer['errorcode'], 431)
        assert.equal(await sizeOf(vm), earlier)
      } else assert.equal(await sizeOf(vm), 640)
      assert.deepEqual(names, rule === 'discard' ? ['disk'] : ['disk', 'memory'])
      await revert(lab, disk)
      assert.equal(await sizeOf(vm), rule === 'discard' ? 640 : earlier)
      if (rule !== 'discard') {
        await revert(lab, memory)
        assert.equal(inMind(lab, vm), 'then')
      }
      await setting(lab, 'vmsnapshot.offering.change', 'discard')
    })

  const sizeOf = async (vm: VmId) => (await listed(lab, 'listVirtualMachines', { id: vm }))[0]?.['memory']

  test('(8) volume snapshots are made beside VM snapshots, unless one is in transition', async () => {
    const { vm, B } = await aTree(lab, mixed)
    const [root] = await volumesOf(lab.app.db, vm)
    assert.ok(root)
    const { snapshot } = await callJob(lab, 'createSnapshot', { volumeid: root.id, name: 'copy' })
    assert.equal((snapshot as Answer)['state'], 'BackedUp')
    await quiet(lab)
    assert.deepEqual(await found(lab, vm), ['later', 'later'])
    const { snapshot: of } = await callJob(lab, 'createSnapshotFromVMSnapshot', { vmsnapshotid: B, volumeid: root.id })
    assert.equal((of as Answer)['vmsnapshotid'], B)
    const twice = await refusal(lab, 'createSnapshotFromVMSnapshot', { vmsnapshotid: B, volumeid: root.id })
    assert.equal(twice['code'], 'snapshot-made-already')
    await lab.app.db.updateTable('vm_snapshot').set({ state: 'Reverting' }).where('id', '=', B).execute()
    assert.equal((await refusal(lab, 'createSnapshot', { volumeid: root.id }))['kind'], 'busy')
    assert.equal((await refusal(lab, 'rebootVirtualMachine', { id: vm }))['kind'], 'busy')
    await lab.app.db.updateTable('vm_snapshot').set({ state: 'Ready' }).where('id', '=', B).execute()
    await stop(lab, vm)
    const refused = await callJob(lab, 'revertSnapshot', { id: (snapshot as Answer)['id'] as string })
    assert.match(String(refused['errortext']), /VM snapshots/)
  })

  test('templates are made of volumes and of their snapshots', async () => {
    const vm = await aTwoDiskMachine(lab)
    const [root] = await volumesOf(lab.app.db, vm)
    assert.ok(root)
    const refused = await callJob(lab, 'createTemplate', { name: 'golden', volumeid: root.id })
    assert.match(String(refused['errortext']), /is Running/)
    const { snapshot } = await callJob(lab, 'createSnapshot', { volumeid: root.id })
    await stop(lab, vm)
    for (const source of [{ volumeid: root.id }, { snapshotid: (snapshot as Answer)['id'] as string }]) {
      const { template } = await callJob(lab, 'createTemplate', { name: 'golden', ...source })
      assert.equal((template as Answer)['isready'], true)
    }
    await quiet(lab)
    const { snapshot: back } = await callJob(lab, 'revertSnapshot', { id: (snapshot as Answer)['id'] as string })
    assert.ok(back)
    assert.deepEqual(await callJob(lab, 'deleteSnapshot', { id: (snapshot as Answer)['id'] as string }), {
      success: true,
    })
    assert.deepEqual(await listed(lab, 'listSnapshots', { volumeid: root.id }), [])
  })
})
