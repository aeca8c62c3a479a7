// VM snapshots when something goes wrong: whatever fails, the machine has its disks, a user is told why, and nothing blocks.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { VmId, VmSnapshotId } from '@ramet/core/ids.ts'
import { writeDisk } from '../drivers/simulated/snapshots.ts'
import { switchPower } from '../drivers/simulated/world.ts'
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
  remove,
  revert,
  snapshotsOf,
  start,
  stop,
  take,
  tree,
  write,
} from '../testing/vm-snapshots.ts'
import { createVmSnapshot } from './create-vm-snapshot.ts'
import type { JobDefinition } from './define-job.ts'
import { definitions } from './definitions.ts'

describe('VM snapshots when something goes wrong', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab()
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  test('memory that does not fit is said beforehand, and the disks alone can be had', async () => {
    const { vm, B } = await aTree(lab, mixed)
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
    const { vm, A } = await aTree(lab, mixed)
    await revert(lab, A, { safetysnapshot: true })
    const safety = (await snapshotsOf(lab, vm)).find(each =>
      String(each['displayname']).startsWith('before revert to A'),
    )
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

  test('a revert that fails runs the machine again on the disks that it had, and says so', async () => {
    const { vm, A, B } = await aTree(lab, mixed)
    for (const [to, fault] of [
      [A, 'layers.fork'],
      [A, 'machines.stop'],
      [B, 'machines.replace'],
    ] as const) {
      lab.world.faults.set(fault, 1)
      const { errortext } = await callJob(lab, 'revertToVMSnapshot', { vmsnapshotid: to })
      assert.match(
        String(errortext),
        new RegExp(`refuses ${fault}${fault === 'layers.fork' ? '$' : '.*The machine runs'}`),
      )
      assert.equal(await stateOf(lab, vm), 'Running')
      assert.deepEqual(await found(lab, vm), ['later', 'later'])
      assert.deepEqual(await tree(lab, vm), [' > A', 'A > B', 'A > C *'])
    }
    assert.equal(inMind(lab, vm), 'later') // it was never off
    const [event] = await listed(lab, 'listEvents', { type: 'VMSNAPSHOT.REVERTTO', level: 'ERROR' })
    assert.match(String(event?.['description']), /The machine runs, on the disks that it had/)
  })

  test('where it cannot run again either, it is Stopped with the disks that it had, and starts later', async () => {
    const { vm, B } = await aTree(lab, mixed)
    lab.world.delays.set('machines.replace', 300)
    for (const refused of ['machines.replace', 'machines.start']) lab.world.faults.set(refused, 1)
    const answer = callJob(lab, 'revertToVMSnapshot', { vmsnapshotid: B })
    await eventually('the attempt', async () => lab.world.calls.at(-1) === 'machines.replace')
    switchPower(lab.world, vm, 'off', 'its process ended')
    const { errortext } = await answer
    lab.world.delays.clear()
    assert.match(String(errortext), /is Stopped, with the disks that it had.*refuses machines\.start/)
    assert.equal(await stateOf(lab, vm), 'Stopped')
    assert.ok((await start(lab, vm))['virtualmachine'])
    assert.deepEqual(await found(lab, vm), ['later', 'later'])
  })

  for (const comesBack of [true, false])
    test(`a hypervisor that is silent blocks nothing, and nothing is lost, ${comesBack ? 'when it speaks again' : 'when the machine ends'}`, async () => {
      const vm = await aTwoDiskMachine(lab)
      write(lab, vm, 'kept')
      const layers = lab.world.layers.size
      // Asked before the cut and when that is undone; then by each of the two merges that this leaves.
      lab.world.faults.set('machines.activeLayers', comesBack ? 2 : 4)
      const { errortext } = await callJob(lab, 'createVMSnapshot', { virtualmachineid: vm, name: 'bad' })
      assert.match(String(errortext), /refuses machines\.activeLayers/)
      write(lab, vm, 'written since')
      await quiet(lab)
      const [bad] = await snapshotsOf(lab, vm)
      assert.equal(bad?.['state'], 'Error')
      await remove(lab, bad?.['id'] as VmSnapshotId)
      if (!comesBack) {
        await stop(lab, vm)
        await start(lab, vm)
      }
      assert.deepEqual(await found(lab, vm), ['written since', 'written since'])
      const good = await take(lab, vm, 'good', { snapshotmemory: true })
      write(lab, vm, 'later')
      await revert(lab, good)
      assert.deepEqual(await found(lab, vm), ['written since', 'written since'])
      await remove(lab, good)
      await lab.restart() // which looks for layers that nothing needs
      await quiet(lab)
      assert.equal(lab.world.layers.size, layers)
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
    const [bad] = await snapshotsOf(lab, vm)
    assert.equal(bad?.['state'], 'Error')
    assert.ok(bad?.['error'])
    await take(lab, vm, 'good')
    await stop(lab, vm)
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
      const [snapshot] = await snapshotsOf(lab, vm)
      assert.equal(snapshot?.['state'], withMemory ? 'Error' : 'Ready', String(snapshot?.['error']))
      await eventually('the machine is known to be off', async () => (await stateOf(lab, vm)) === 'Stopped')
      assert.deepEqual(await found(lab, vm), ['acknowledged', 'acknowledged'])
      assert.ok((await start(lab, vm))['virtualmachine'])
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
    const { vm, A, B } = await aTree(lab, mixed)
    const asIf = (id: VmSnapshotId, state: 'Reverting' | 'Expunging') =>
      lab.app.db
        .updateTable('vm_snapshot')
        .set({ state, updated: new Date(Date.now() - 60_000) })
        .where('id', '=', id)
        .execute()
    await asIf(B, 'Reverting')
    await lab.restart()
    assert.deepEqual(
      (await snapshotsOf(lab, vm, { vmsnapshotid: B })).map(each => each['state']),
      ['Ready'],
    )
    await asIf(A, 'Expunging')
    await lab.restart()
    await quiet(lab)
    assert.deepEqual(await tree(lab, vm), [' > B', ' > C *'])
    for (const kept of ['b'] as const) {
      await revert(lab, B)
      assert.deepEqual(await found(lab, vm), [kept, kept])
    }
  })
})
