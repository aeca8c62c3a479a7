// Machines made from VM snapshots, when something stands in the way: others at work on the same disks, a step that fails, a storage
// that is full or out of reach. On a simulated hypervisor with real contents.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { VmSnapshotId } from '@ramet/core/ids.ts'
import { callJob, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { eventually } from '../testing/eventually.ts'
import { ended, type Lab, quiet, simulatedLab, stateOf } from '../testing/lab.ts'
import { aTwoDiskMachine, remove, revert, take, write } from '../testing/vm-snapshots.ts'
import { aRemotePool } from '../testing/volumes.ts'
import { snapshotDeployments } from '../testing/snapshot-deployments.ts'

describe('a machine from a VM snapshot, and what stands in its way', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab({ hosts: 2 })
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const {
    row,
    rootOf,
    parentOf,
    layerOf,
    seedsOf,
    setMode,
    deploy,
    begin,
    destroy,
    contents,
    aTree,
    aSnapshot,
    slowly,
    stepsOf,
    aFarHost,
    outcome,
    refused,
  } = snapshotDeployments(() => lab)

  test('while it is made, neither its snapshot nor the source can go, nor may disks of the source move', async () => {
    const { vm: source, snapshot } = await aSnapshot()
    const { id: root } = await rootOf(source)
    await slowly('layers.fork', 800, async () => {
      const { job, vm } = await begin(snapshot)
      await eventually('its disk is being made', async () => lab.world.calls.at(-1) === 'layers.fork')
      const why = /virtual machines are being made: .*Wait for their end/
      for (const [name, given] of [
        ['deleteVMSnapshot', { vmsnapshotid: snapshot }],
        ['destroyVirtualMachine', { id: source, expunge: true }],
        ['destroyVirtualMachine', { id: source }],
        ['expungeVirtualMachine', { id: source }],
      ] as const)
        assert.match(String((await outcome(name, given))['errortext']), name.startsWith('expunge') ? /./ : why, name)
      const moved = await outcome('migrateVolume', { volumeid: root, storageid: await aRemotePool(lab) })
      assert.match(String(moved['errortext']), /is Running|VM snapshot/)
      assert.equal((await ended(lab, job)).state, 'done')
      assert.equal(await stateOf(lab, vm), 'Running')
    })
    assert.equal(await stateOf(lab, source), 'Running')
    await remove(lab, snapshot)
  })

  test('waits for a merge in the disk that it is to stand on, which none begins under it', async () => {
    const stays = await aTree()
    await setMode('direct')
    await deploy(stays.B, { clonetype: 'linked' })
    await revert(lab, stays.B)
    await remove(lab, stays.C)
    await quiet(lab)
    // B alone stands on A, but two machines on B.
    assert.equal((await stepsOf(stays.A))[await layerOf(stays.A)], 'keep-hidden')
    const vm = await aTwoDiskMachine(lab)
    const ids: VmSnapshotId[] = []
    for (const name of ['a', 'b']) {
      write(lab, vm, name)
      ids.push(await take(lab, vm, name))
    }
    const [lower, upper] = ids as [VmSnapshotId, VmSnapshotId]
    await slowly('machines.merge', 600, async () => {
      await remove(lab, lower)
      await eventually('the merge is at work', async () => lab.world.calls.at(-1) === 'machines.merge')
      const { job, vm: made } = await begin(upper)
      await eventually('it waits', async () => {
        const { waits_for } = await lab.app.db
          .selectFrom('job')
          .selectAll()
          .where('id', '=', job)
          .executeTakeFirstOrThrow()
        return waits_for
      })
      assert.equal((await ended(lab, job)).state, 'done')
      assert.equal(await contents(made), 'b')
      assert.equal(await parentOf((await rootOf(made)).layer_id), await layerOf(upper))
    })
    await setMode('seed')
    await quiet(lab)
  })

  test('comes into Error with the reason when a step of it fails; source and snapshot stay, and the next one is made', async () => {
    const { vm: source, snapshot } = await aSnapshot()
    for (const [name, left] of [
      ['layers.copy', 0],
      ['layers.fork', 1],
      ['machines.start', 1],
    ] as const) {
      lab.world.faults.set(name, 1)
      const { vm, job } = await begin(snapshot)
      const { problem, state } = await ended(lab, job)
      assert.equal(state, 'failed')
      const { state: is, error } = await row(vm)
      assert.deepEqual([is, error], ['Error', problem?.message])
      const told = await lab.app.db
        .selectFrom('event')
        .select('description')
        .where('resource_id', '=', vm)
        .where('level', '=', 'ERROR')
        .execute()
      assert.ok(told.some(({ description }) => description.includes(problem?.message ?? '-')))
      assert.equal((await seedsOf(snapshot)).length, left, 'a seed is whole or not there')
      await destroy(vm)
      assert.equal(await stateOf(lab, vm), 'removed')
    }
    assert.equal(await stateOf(lab, source), 'Running')
    const [shown] = await listed(lab, 'listVMSnapshot', { vmsnapshotid: snapshot })
    assert.equal(shown?.['state'], 'Ready')
    await deploy(snapshot)
  })

  test('fails where its storage is full, and no other does', async () => {
    const [{ snapshot }, other] = [await aSnapshot(), await aSnapshot()]
    await deploy(other.snapshot)
    const { db } = lab.app
    const spare = 100 * 2 ** 20 // a linked clone has room, a copy of the disk has not
    const earlier = await db.selectFrom('storage_pool').selectAll().orderBy('created').executeTakeFirstOrThrow()
    const free_bytes = Math.ceil((earlier.total_bytes * 5) / 100) + spare / 100
    await db.updateTable('storage_pool').set({ free_bytes }).where('id', '=', earlier.id).execute()
    const { job, vm } = await begin(snapshot)
    const { problem } = await ended(lab, job)
    assert.deepEqual([problem?.code, await stateOf(lab, vm)], ['no-capacity', 'Error'])
    assert.equal(await stateOf(lab, await deploy(other.snapshot)), 'Running')
    await db.updateTable('storage_pool').set({ free_bytes: earlier.free_bytes }).where('id', '=', earlier.id).execute()
  })

  test('does not go where the storage is not reached, even if there alone is room', async () => {
    const { snapshot } = await aSnapshot()
    const far = await aFarHost()
    await refused(snapshot, { hostid: far.host }, 'invalid', /hostid names none that reaches storage pool/)
    await refused(snapshot, { clusterid: far.cluster }, 'invalid', /clusterid names none that reaches/)
    const { db } = lab.app
    const load = await db.selectFrom('host_load').selectAll().where('host_id', '!=', far.host).execute()
    await db
      .updateTable('host_load')
      .set({ memory_mib: 2 ** 30 })
      .where('host_id', '!=', far.host)
      .execute()
    const answer = await callJob(lab, 'deployVirtualMachine', { vmsnapshotid: snapshot, name: 'no-room' })
    assert.equal(answer['errorcode'], 533, String(answer['errortext']))
    assert.match(String(answer['errortext']), /No room for the machine/)
    const { id } = await db.selectFrom('vm').select('id').where('name', '=', 'no-room').executeTakeFirstOrThrow()
    assert.equal(await stateOf(lab, id), 'Error')
    for (const { host_id, memory_mib } of load)
      await db.updateTable('host_load').set({ memory_mib }).where('host_id', '=', host_id).execute()
    await db.updateTable('host').set({ resource_state: 'Disabled' }).where('id', '=', far.host).execute()
  })
})
