// VM snapshots as the specification tells them, scenario by scenario, on a simulated hypervisor with real contents: what counts
// is what the guest finds on its two disks and in its memory.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId, type VmId, type VmSnapshotId } from '@ramet/core/ids.ts'
import { writeDisk } from '../drivers/simulated/snapshots.ts'
import { switchPower } from '../drivers/simulated/world.ts'
import { createVmSnapshot } from './create-vm-snapshot.ts'
import { stopVm } from './stop-vm.ts'
import { call, callJob, type Given, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { eventually } from '../testing/eventually.ts'
import { definitions } from './definitions.ts'
import type { JobDefinition } from './define-job.ts'
import { anAccount, type Lab, quiet, simulatedLab, stateOf } from '../testing/lab.ts'
import { callerOf } from '../testing/realm.ts'
import { aTwoDiskMachine, found, inMind, remove, revert, take, write } from '../testing/vm-snapshots.ts'
import { aUsed, aVolume, done } from '../testing/volumes.ts'
import { volumesOf } from '../store/volumes.ts'
import type { Answer } from '../api/command.ts'

describe('VM snapshots', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab()
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const stop = (vm: VmId) => done(lab, stopVm, { vm, forced: true })
  const start = (id: VmId) => callJob(lab, 'startVirtualMachine', { id })
  const snapshotsOf = (vm: VmId, given: Given = {}) => listed(lab, 'listVMSnapshot', { virtualmachineid: vm, ...given })
  const setting = (name: string, value: string | number | boolean) => call(lab, 'updateConfiguration', { name, value })
  const nameOf = (value: unknown) => (typeof value === 'string' ? value : '')
  const tree = async (vm: VmId) =>
    (await snapshotsOf(vm))
      .map(each => `${nameOf(each['parentName'])} > ${nameOf(each['displayname'])}${each['current'] ? ' *' : ''}`)
      .toSorted()
  const refusal = async (name: string, given: Given): Promise<Answer> => {
    try {
      return await callJob(lab, name, given)
    } catch (error) {
      const { code, kind, message } = error as { code: string; kind: string; message: string }
      return { code, kind, errortext: message }
    }
  }
  /** The tree A-(B, C), each of the given type, the machine running. */
  async function aTree(memory: Readonly<Record<'A' | 'B' | 'C', boolean>>) {
    const vm = await aTwoDiskMachine(lab)
    write(lab, vm, 'a')
    const A = await take(lab, vm, 'A', { snapshotmemory: memory.A })
    write(lab, vm, 'b')
    const B = await take(lab, vm, 'B', { snapshotmemory: memory.B })
    await revert(lab, A)
    if ((await stateOf(lab, vm)) === 'Stopped') await start(vm)
    write(lab, vm, 'c')
    const C = await take(lab, vm, 'C', { snapshotmemory: memory.C })
    write(lab, vm, 'later')
    return { vm, A, B, C }
  }
  const mixed = { A: false, B: true, C: false }

  for (const memory of [true, false])
    for (const state of ['Running', 'Stopped'] as const)
      test(`(1) create with memory ${memory ? 'on' : 'off'}, the machine ${state}`, async () => {
        const vm = await aTwoDiskMachine(lab)
        write(lab, vm, 'then')
        if (state === 'Stopped') await stop(vm)
        const given = { virtualmachineid: vm, name: 'one', description: 'the first', snapshotmemory: memory }
        if (memory && state === 'Stopped') {
          const refused = await refusal('createVMSnapshot', given)
          assert.equal(refused['code'], 'memory-of-stopped')
          assert.deepEqual(await snapshotsOf(vm), [])
          return
        }
        const id = await take(lab, vm, 'one', given)
        const [snapshot] = await snapshotsOf(vm)
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
        if (state === 'Stopped') await stop(vm)
        await revert(lab, id)
        assert.equal(await stateOf(lab, vm), memory ? 'Running' : 'Stopped')
        assert.deepEqual(await found(lab, vm), ['then', 'then'])
        if (memory) assert.equal(inMind(lab, vm), 'then')
        assert.notEqual(await generationOf(vm), earlier)
        if (!memory) await start(vm)
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
      const { vm, ...ids } = await aTree(memory)
      assert.deepEqual(await tree(vm), [' > A', 'A > B', 'A > C *'])
      for (const from of ['Running', 'Stopped'] as const)
        for (const to of ['B', 'A', 'C'] as const) {
          const state = await stateOf(lab, vm)
          if (from === 'Stopped' && state === 'Running') await stop(vm)
          if (from === 'Running' && state === 'Stopped') await start(vm)
          await revert(lab, ids[to])
          assert.equal(await stateOf(lab, vm), memory[to] ? 'Running' : 'Stopped')
          assert.deepEqual(await found(lab, vm), [to.toLowerCase(), to.toLowerCase()], `${from} to ${to}`)
          const current = (await snapshotsOf(vm)).filter(each => each['current']).map(each => each['displayname'])
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
      const { vm, A, B, C } = await aTree(mixed)
      const gone = { 'the current': [C], any: [A], all: [A, C, B] }[which]
      for (const id of gone) await remove(lab, id)
      await quiet(lab)
      assert.deepEqual(await found(lab, vm), ['later', 'later'])
      const left = { 'the current': [' > A *', 'A > B'], any: [' > B', ' > C *'], all: [] }[which]
      assert.deepEqual(await tree(vm), left)
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
      assert.equal((await refusal('deleteVMSnapshot', { vmsnapshotid: gone[0] as string }))['code'], 'unknown-id')
    })

  test('(5) a dry run tells files, bytes and dependents, and does nothing', async () => {
    const { vm, A } = await aTree(mixed)
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
    assert.deepEqual(await tree(vm), [' > A', 'A > B', 'A > C *'])
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
      await setting('vmsnapshot.offering.change', rule)
      const vm = await aTwoDiskMachine(lab)
      write(lab, vm, 'then')
      const [disk, memory] = [await take(lab, vm, 'disk'), await take(lab, vm, 'memory', { snapshotmemory: true })]
      await stop(vm)
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
      const names = (await snapshotsOf(vm)).map(each => nameOf(each['displayname'])).toSorted()
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
      await setting('vmsnapshot.offering.change', 'discard')
    })

  const sizeOf = async (vm: VmId) => (await listed(lab, 'listVirtualMachines', { id: vm }))[0]?.['memory']

  test('(8) volume snapshots are made beside VM snapshots, unless one is in transition', async () => {
    const { vm, B } = await aTree(mixed)
    const [root] = await volumesOf(lab.app.db, vm)
    assert.ok(root)
    const { snapshot } = await callJob(lab, 'createSnapshot', { volumeid: root.id, name: 'copy' })
    assert.equal((snapshot as Answer)['state'], 'BackedUp')
    await quiet(lab)
    assert.deepEqual(await found(lab, vm), ['later', 'later'])
    const { snapshot: of } = await callJob(lab, 'createSnapshotFromVMSnapshot', { vmsnapshotid: B, volumeid: root.id })
    assert.equal((of as Answer)['vmsnapshotid'], B)
    const twice = await refusal('createSnapshotFromVMSnapshot', { vmsnapshotid: B, volumeid: root.id })
    assert.equal(twice['code'], 'snapshot-made-already')
    await lab.app.db.updateTable('vm_snapshot').set({ state: 'Reverting' }).where('id', '=', B).execute()
    assert.equal((await refusal('createSnapshot', { volumeid: root.id }))['kind'], 'busy')
    assert.equal((await refusal('rebootVirtualMachine', { id: vm }))['kind'], 'busy')
    await lab.app.db.updateTable('vm_snapshot').set({ state: 'Ready' }).where('id', '=', B).execute()
    await stop(vm)
    const refused = await callJob(lab, 'revertSnapshot', { id: (snapshot as Answer)['id'] as string })
    assert.match(String(refused['errortext']), /VM snapshots/)
  })

  test('are found by every filter and by keyword', async () => {
    const vm = await aTwoDiskMachine(lab)
    const one = await take(lab, vm, 'Before upgrade', { description: 'of the database' })
    const two = await take(lab, vm, 'nightly')
    const names = async (given: Given) => (await snapshotsOf(vm, given)).map(each => each['displayname'])
    assert.deepEqual(await names({}), ['nightly', 'Before upgrade'])
    assert.deepEqual(await names({ vmsnapshotid: one }), ['Before upgrade'])
    assert.deepEqual(await names({ vmsnapshotids: `${one},${two}` }), ['nightly', 'Before upgrade'])
    assert.deepEqual(await names({ name: 'nightly' }), ['nightly'])
    assert.deepEqual(await names({ state: 'ready' }), ['nightly', 'Before upgrade'])
    assert.deepEqual(await names({ state: 'Error' }), [])
    assert.deepEqual(await names({ keyword: 'DATAbase' }), ['Before upgrade'])
    assert.deepEqual(await names({ keyword: 'night' }), ['nightly'])
    await callJob(lab, 'createTags', {
      resourcetype: 'VMSnapshot',
      resourceids: two,
      'tags[0].key': 'k',
      'tags[0].value': 'v',
    })
    assert.deepEqual(await names({ 'tags[0].key': 'k', 'tags[0].value': 'v' }), ['nightly'])
    assert.equal((await refusal('listVMSnapshot', { vmsnapshotid: one, vmsnapshotids: two }))['kind'], 'invalid')
  })

  test('are counted: a warning from half of vmsnapshot.max, a refusal beyond it', async () => {
    const vm = await aTwoDiskMachine(lab)
    await setting('vmsnapshot.max', 2)
    await take(lab, vm, 'one')
    assert.match(String((await snapshotsOf(vm))[0]?.['warning']), /1 of at most 2/)
    await take(lab, vm, 'two')
    const refused = await refusal('createVMSnapshot', { virtualmachineid: vm, name: 'three' })
    assert.equal(refused['code'], 'too-many-vm-snapshots')
    await setting('vmsnapshot.max', 10)
    assert.equal(
      (await refusal('createVMSnapshot', { virtualmachineid: vm, name: 'two' }))['code'],
      'vm-snapshot-name-taken',
    )
  })

  test('bad input is refused with the reason, and changes nothing', async () => {
    const { vm, A } = await aTree(mixed)
    const earlier = await tree(vm)
    await lab.app.db.updateTable('vm_snapshot').set({ state: 'Error' }).where('id', '=', A).execute()
    const inError = await callJob(lab, 'revertToVMSnapshot', { vmsnapshotid: A })
    assert.match(String(inError['errortext']), /A is Error.*only be deleted/)
    await lab.app.db.updateTable('vm_snapshot').set({ state: 'Ready' }).where('id', '=', A).execute()
    const { domain_id } = await lab.app.db.selectFrom('account').select('domain_id').executeTakeFirstOrThrow()
    const stranger = await callerOf(lab, { ...(await anAccount(lab, domain_id)), domain: domain_id })
    for (const name of ['revertToVMSnapshot', 'deleteVMSnapshot'])
      await assert.rejects(call(lab, name, { vmsnapshotid: A }, stranger), { kind: 'forbidden' })
    await assert.rejects(call(lab, 'createVMSnapshot', { virtualmachineid: vm }, stranger), { kind: 'forbidden' })
    await lab.app.db.updateTable('vm').set({ state: 'Starting' }).where('id', '=', vm).execute()
    assert.equal((await refusal('createVMSnapshot', { virtualmachineid: vm }))['code'], 'wrong-vm-state')
    await lab.app.db.updateTable('vm').set({ state: 'Running' }).where('id', '=', vm).execute()
    assert.deepEqual(await tree(vm), earlier)
  })

  test('the power state stays where vmsnapshot.revert.change.state is off', async () => {
    const { vm, A, B } = await aTree(mixed)
    await setting('vmsnapshot.revert.change.state', false)
    const one = await callJob(lab, 'revertToVMSnapshot', { vmsnapshotid: A })
    await stop(vm)
    const other = await callJob(lab, 'revertToVMSnapshot', { vmsnapshotid: B })
    for (const { errorcode } of [one, other]) assert.equal(errorcode, 431)
    assert.deepEqual(await found(lab, vm), ['later', 'later'])
    await setting('vmsnapshot.revert.change.state', true)
  })

  test('memory that does not fit is said beforehand, and the disks alone can be had', async () => {
    const { vm, B } = await aTree(mixed)
    const { memory_image_id } = await lab.app.db
      .selectFrom('vm_snapshot')
      .select('memory_image_id')
      .where('id', '=', B)
      .executeTakeFirstOrThrow()
    assert.ok(memory_image_id)
    lab.world.misfits.set(memory_image_id, 'made by another version')
    const { errortext } = await callJob(lab, 'revertToVMSnapshot', { vmsnapshotid: B })
    assert.match(String(errortext), /made by another version.*diskonly=true/)
    assert.equal(await stateOf(lab, vm), 'Running')
    assert.deepEqual(await found(lab, vm), ['later', 'later'])
    await revert(lab, B, { diskonly: true })
    assert.equal(await stateOf(lab, vm), 'Stopped')
    assert.deepEqual(await found(lab, vm), ['b', 'b'])
  })

  test('a safety snapshot before a revert undoes it, and without it nothing is reverted', async () => {
    const { vm, A } = await aTree(mixed)
    await revert(lab, A, { safetysnapshot: true })
    const safety = (await snapshotsOf(vm)).find(each => String(each['displayname']).startsWith('before revert to A'))
    assert.ok(safety)
    assert.deepEqual(await found(lab, vm), ['a', 'a'])
    await revert(lab, safety['id'] as VmSnapshotId)
    assert.deepEqual(await found(lab, vm), ['later', 'later'])
    assert.equal(inMind(lab, vm), 'later')
    lab.world.faults.set('machines.cut', 1)
    const { errortext } = await callJob(lab, 'revertToVMSnapshot', { vmsnapshotid: A, safetysnapshot: true })
    assert.match(String(errortext), /Nothing was reverted/)
    assert.deepEqual(await found(lab, vm), ['later', 'later'])
  })

  test('one that failed tells why, blocks nothing, and can be deleted whatever the machine does', async () => {
    const vm = await aTwoDiskMachine(lab)
    write(lab, vm, 'kept')
    lab.world.faults.set('machines.cut', 1)
    const { errortext } = await callJob(lab, 'createVMSnapshot', {
      virtualmachineid: vm,
      name: 'bad',
      snapshotmemory: true,
    })
    assert.ok(errortext)
    const [bad] = await snapshotsOf(vm)
    assert.equal(bad?.['state'], 'Error')
    assert.ok(bad?.['error'])
    await take(lab, vm, 'good')
    await stop(vm)
    await remove(lab, bad?.['id'] as VmSnapshotId)
    assert.deepEqual(await found(lab, vm), ['kept', 'kept'])
    assert.equal(lab.world.memory.size, await countOf('memory_image'))
  })

  const countOf = async (table: 'memory_image') =>
    Number(
      (
        await lab.app.db
          .selectFrom(table)
          .select(eb => eb.fn.countAll().as('n'))
          .executeTakeFirstOrThrow()
      ).n,
    )

  test('a machine that goes off between the cut and the record of it loses nothing', async () => {
    for (const withMemory of [false, true]) {
      const vm = await aTwoDiskMachine(lab)
      write(lab, vm, 'before')
      // The cut is made, the guest writes on what it got, and then everything ends: the machine, and the server.
      const { kind } = createVmSnapshot.traits
      await lab.restart({ definitions: definitions.map(each => (each.traits.kind === kind ? endsAfterCut(vm) : each)) })
      await call(lab, 'createVMSnapshot', { virtualmachineid: vm, name: 'one', snapshotmemory: withMemory })
      await eventually('the machine is off', async () => lab.world.machines.get(vm)?.power === 'off')
      await lab.restart()
      await quiet(lab)
      const [snapshot] = await snapshotsOf(vm)
      assert.equal(snapshot?.['state'], withMemory ? 'Error' : 'Ready', String(snapshot?.['error']))
      await eventually('the machine is known to be off', async () => (await stateOf(lab, vm)) === 'Stopped')
      assert.deepEqual(await found(lab, vm), ['acknowledged', 'acknowledged'])
      assert.ok((await start(vm))['virtualmachine'])
      assert.deepEqual(await found(lab, vm), ['acknowledged', 'acknowledged'])
      if (withMemory) continue
      await revert(lab, snapshot?.['id'] as VmSnapshotId)
      assert.deepEqual(await found(lab, vm), ['before', 'before'])
    }
  })

  /** The job, of which nothing is heard any more when the cut is made: its server must be started anew. */
  function endsAfterCut(vm: VmId): JobDefinition {
    const steps = createVmSnapshot.steps.map(step => ({
      ...step,
      do: async (context: never) => {
        const made = await step.do(context)
        if (step.name !== 'cut') return made
        for (const place of [0, 1]) writeDisk(lab.world, vm, place, 0, 'acknowledged')
        switchPower(lab.world, vm, 'off', 'a power cut')
        const { signal } = context as { signal: AbortSignal }
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
      },
    }))
    const { traits, result, onFailure } = createVmSnapshot
    return { traits, steps, result, onFailure }
  }

  test('a transient one that no job works on is settled after a restart', async () => {
    const { vm, A, B } = await aTree(mixed)
    const asIf = (id: VmSnapshotId, state: 'Reverting' | 'Expunging') =>
      lab.app.db
        .updateTable('vm_snapshot')
        .set({ state, updated: new Date(Date.now() - 60_000) })
        .where('id', '=', id)
        .execute()
    await asIf(B, 'Reverting')
    await lab.restart()
    assert.deepEqual(
      (await snapshotsOf(vm, { vmsnapshotid: B })).map(each => each['state']),
      ['Ready'],
    )
    await asIf(A, 'Expunging')
    await lab.restart()
    await quiet(lab)
    assert.deepEqual(await tree(vm), [' > B', ' > C *'])
    for (const kept of ['b'] as const) {
      await revert(lab, B)
      assert.deepEqual(await found(lab, vm), [kept, kept])
    }
  })

  for (const keep of [false, true])
    test(`destroyed with its machine${keep ? ', or kept until it is expunged (vmsnapshot.keep.until.expunge)' : ''}`, async () => {
      await setting('vmsnapshot.keep.until.expunge', keep)
      const { vm, B } = await aTree(mixed)
      await callJob(lab, 'destroyVirtualMachine', { id: vm })
      await quiet(lab)
      assert.equal((await snapshotsOf(vm)).length, keep ? 3 : 0)
      await call(lab, 'recoverVirtualMachine', { id: vm })
      if (keep) {
        // Data disks are attached by hand after a recovery; with VM snapshots, to where they were.
        for (const { id } of await lab.app.db
          .selectFrom('vm_snapshot_disk')
          .select('volume_id as id')
          .where('snapshot_id', '=', B)
          .where('device_id', '>', 0)
          .execute())
          await lab.app.db.updateTable('volume').set({ vm_id: vm, device_id: 1 }).where('id', '=', id).execute()
        await revert(lab, B)
        assert.deepEqual(await found(lab, vm), ['b', 'b'])
      } else assert.deepEqual(await found(lab, vm), ['later'])
      await callJob(lab, 'destroyVirtualMachine', { id: vm, expunge: true })
      await quiet(lab)
      await setting('vmsnapshot.keep.until.expunge', false)
      assert.deepEqual(await snapshotsOf(vm), [])
    })

  test('templates are made of volumes and of their snapshots', async () => {
    const vm = await aTwoDiskMachine(lab)
    const [root] = await volumesOf(lab.app.db, vm)
    assert.ok(root)
    const refused = await callJob(lab, 'createTemplate', { name: 'golden', volumeid: root.id })
    assert.match(String(refused['errortext']), /is Running/)
    const { snapshot } = await callJob(lab, 'createSnapshot', { volumeid: root.id })
    await stop(vm)
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

  test('hypervisors may be without them', async () => {
    const vm = await aTwoDiskMachine(lab)
    await call(lab, 'updateHypervisorCapabilities', { hypervisor: 'Simulator', vmsnapshotenabled: false })
    assert.equal((await refusal('createVMSnapshot', { virtualmachineid: vm }))['code'], 'vm-snapshot-disabled')
    await call(lab, 'updateHypervisorCapabilities', { hypervisor: 'Simulator', vmsnapshotenabled: true })
  })

  test('only one operation is at work on a machine at a time', async () => {
    const vm = await aTwoDiskMachine(lab)
    lab.world.delays.set('machines.cut', 500)
    await call(lab, 'createVMSnapshot', { virtualmachineid: vm, name: 'one' })
    const refused = await refusal('createVMSnapshot', { virtualmachineid: vm, name: 'two' })
    lab.world.delays.delete('machines.cut')
    assert.equal(refused['kind'], 'busy')
    await quiet(lab)
    assert.deepEqual(await tree(vm), [' > one *'])
  })
})
