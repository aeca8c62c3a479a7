// What is asked of disks while a job is at work on them: nothing takes them from under it.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId, type StoragePoolId, type VmId, type VolumeId } from '@ramet/core/ids.ts'
import { call } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { eventually } from '../testing/eventually.ts'
import { ended, type Lab, run, simulatedLab, stateOf } from '../testing/lab.ts'
import { aMachine, anAttached, aRemotePool, aUsed, aVolume, done } from '../testing/volumes.ts'
import { attachVolume } from './attach-volume.ts'
import type { JobDefinition } from './define-job.ts'
import { maintainPool } from './maintain-pool.ts'
import { migrateVolume } from './migrate-volume.ts'
import { restoreVm } from './restore-vm.ts'
import { startVm } from './start-vm.ts'

describe('while a job is at work', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab()
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const volume = (id: VolumeId) =>
    lab.app.db.selectFrom('volume').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const poolState = async (id: StoragePoolId) =>
    (await lab.app.db.selectFrom('storage_pool').select('state').where('id', '=', id).executeTakeFirstOrThrow()).state

  /** Starts a job and waits until it is at `step`. */
  async function startUntil<I>(definition: JobDefinition<I>, input: I, step: string) {
    const { id: user, account_id: account } = await lab.app.db.selectFrom('user').selectAll().executeTakeFirstOrThrow()
    const id = await lab.app.jobs.start(lab.app.db, definition, input, { command: 'test', account, user })
    await eventually(`it is at ${step}`, async () => {
      const job = await lab.app.db.selectFrom('job').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
      assert.equal(job.completed, null, job.problem?.message)
      return job.step === step
    })
    return id
  }

  async function slowly<T>(callName: string, ms: number, act: () => Promise<T>): Promise<T> {
    lab.world.delays.set(callName, ms)
    try {
      return await act()
    } finally {
      lab.world.delays.delete(callName)
    }
  }

  async function aRestore(vm: VmId) {
    const { template_id: image } = await lab.app.db
      .selectFrom('vm')
      .select('template_id')
      .where('id', '=', vm)
      .executeTakeFirstOrThrow()
    const made = { volume: newId<'volume'>(), layer: newId<'layer'>() }
    const asked = { rootBytes: 2 ** 30, diskOffering: null, withPassword: false, expunge: false, forced: true }
    return { vm, image, template: image, ...made, ...asked }
  }

  test('the old root disk is neither removed nor taken before the restored machine runs', async () => {
    const { vm, root } = await aMachine(lab, 'Running')
    const was = await volume(root)
    lab.world.faults.set('machines.start', 1)
    const job = await slowly('machines.start', 700, async () => {
      const id = await startUntil(restoreVm, await aRestore(vm), 'run')
      for (const name of ['deleteVolume', 'recoverVolume'])
        await assert.rejects(call(lab, name, { id: root }), { code: 'wrong-volume-state' }, name)
      return ended(lab, id)
    })
    assert.equal(job.state, 'failed')
    const { state, vm_id, layer_id } = await volume(root)
    assert.deepEqual({ state, vm_id, layer_id }, { state: 'Ready', vm_id: vm, layer_id: was.layer_id })
    assert.ok(lab.world.layers.has(was.layer_id as never))
    assert.equal(await stateOf(lab, vm), 'Running')
  })

  test('a disk that is in the place of an attachment is not pulled out when that fails', async () => {
    const { vm, volume: there } = await anAttached(lab, 'Running')
    const { layer_id } = await volume(there)
    await lab.app.db.updateTable('volume').set({ vm_id: null, device_id: null }).where('id', '=', there).execute()
    const input = { volume: await aVolume(lab), vm, deviceId: 1, layer: newId<'layer'>() }
    const { state, problem } = await run(lab, attachVolume, input)
    assert.deepEqual([state, problem?.code], ['failed', 'device-in-use'])
    assert.equal(lab.world.machines.get(vm)?.disks[1], layer_id)
  })

  test('a pool comes into maintenance when moves from it and to it are over', async () => {
    const [loose, pool] = [await aUsed(lab), await aRemotePool(lab)]
    const moves = [
      { from: (await volume(loose)).pool_id as StoragePoolId, to: pool, maintained: 'to' },
      { from: pool, to: (await volume(loose)).pool_id as StoragePoolId, maintained: 'from' },
    ] as const
    for (const move of moves) {
      const input = { volume: loose, vm: null, pool: move.to, layer: newId<'layer'>() }
      await slowly('layers.copy', 700, async () => {
        const moving = await startUntil(migrateVolume, input, 'copy')
        const maintained = await done(lab, maintainPool, { pool, from: 'Up' })
        const moved = await ended(lab, moving)
        assert.equal(moved.state, 'done', moved.problem?.message)
        assert.ok(
          (moved.completed as Date) <= (maintained.completed as Date),
          `it was moved ${move.maintained} the pool`,
        )
      })
      assert.equal(await poolState(pool), 'Maintenance')
      await lab.app.db.updateTable('storage_pool').set({ state: 'Up' }).where('id', '=', pool).execute()
    }
  })

  test('a machine with a data disk on a pool in maintenance does not start, and none is plugged in', async () => {
    const { vm, volume: data } = await anAttached(lab, 'Stopped')
    const loose = await aUsed(lab)
    const { db } = lab.app
    const pool = newId<'storage-pool'>()
    const { cluster_id } = await db
      .selectFrom('storage_pool')
      .select('cluster_id')
      .orderBy('created')
      .executeTakeFirstOrThrow()
    const size = { total_bytes: 2 ** 40, free_bytes: 2 ** 40 }
    await db
      .insertInto('storage_pool')
      .values({ id: pool, cluster_id, name: pool, path: `/${pool}`, type: 'Filesystem', ...size, tags: ['aside'] })
      .execute()
    for (const [id, on] of [
      [data, vm],
      [loose, null],
    ] as const)
      await done(lab, migrateVolume, { volume: id, vm: on, pool, layer: newId<'layer'>() })
    await done(lab, maintainPool, { pool, from: 'Up' })
    const refused = await run(lab, startVm, { vm })
    assert.deepEqual([refused.state, refused.problem?.code], ['failed', 'pool-not-up'])
    const plug = await run(lab, attachVolume, { volume: loose, vm, deviceId: null, layer: newId<'layer'>() })
    assert.deepEqual([plug.state, plug.problem?.code], ['failed', 'pool-not-up'])
  })
})
