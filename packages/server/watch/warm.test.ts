// Processes that wait for instant clones: made for what is cloned, used by its clones, and gone when anything speaks against them.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { VmId } from '@ramet/core/ids.ts'
import { vmById } from '../store/vms.ts'
import { volumesOf } from '../store/volumes.ts'
import { call, callJob } from '../testing/call.ts'
import { aClone, cloned, expunge } from '../testing/clones.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { eventually } from '../testing/eventually.ts'
import { type Lab, quiet, simulatedLab } from '../testing/lab.ts'
import { aTwoDiskMachine } from '../testing/vm-snapshots.ts'

const most = 3

describe('processes that wait for instant clones', () => {
  let lab: Lab
  let source: VmId
  before(async () => {
    lab = await simulatedLab()
    await call(lab, 'updateConfiguration', { name: 'instantclone.warm.most', value: most })
    source = await aTwoDiskMachine(lab)
    await callJob(lab, 'freezeVirtualMachine', { id: source })
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const none = 0
  const waiting = (least: number, atMost = least) =>
    eventually(`${least} wait`, async () => {
      const all = [...lab.world.waiting.values()]
      const isSeen = lab.app.spares.figures().waiting === all.length
      return isSeen && all.length >= least && all.length <= atMost ? all : null
    })

  test('a frozen machine that was cloned has one, which the next clone becomes, under its ids', async () => {
    const first = await aClone(lab, source, 'instant', { name: 'first' })
    assert.ok(!lab.world.warm.has(first))
    await waiting(1, most)
    const all = [...lab.world.waiting.values()]
    const second = await aClone(lab, source, 'instant', { name: 'second' })
    const awaited = all.find(({ vm }) => vm === second)
    assert.ok(awaited)
    assert.ok(lab.world.warm.has(second))
    const volumes = await volumesOf(lab.app.db, second)
    assert.deepEqual(
      volumes.map(({ id, device_id }) => [device_id, id.replaceAll('-', '')]),
      awaited.disks.map(({ deviceId, serial }) => [deviceId, serial]),
    )
    const row = await vmById(lab.app.db, second)
    assert.deepEqual([row?.generation_id, row?.state, row?.name], [awaited.generationId, 'Running', 'second'])
    await waiting(1, most)
  })

  test('as many wait as were asked for at once; those above are started as others are', async () => {
    const clones = await cloned(lab, { virtualmachineid: source, clonetype: 'instant', count: 3, name: 'crowd' })
    assert.equal(clones.length, most)
    assert.ok(clones.some(({ id }) => lab.world.warm.has(id)))
    await waiting(most)
  })

  test('a call that is refused leaves as many', async () => {
    await assert.rejects(
      call(lab, 'cloneVirtualMachine', { virtualmachineid: source, clonetype: 'instant', name: 'second' }),
    )
    await waiting(most)
  })

  test('a clone whose process is gone is started as others are', async () => {
    const gone = (await waiting(most)).map(({ vm }) => vm)
    for (const vm of gone) lab.world.waiting.delete(vm)
    const clone = await aClone(lab, source, 'instant', { name: 'without' })
    assert.ok(!gone.includes(clone))
    await waiting(most)
  })

  test('one that is taken for a clone that fails ends with it', async () => {
    lab.world.faults.set('machines.start', 1)
    const failed = await callJob(lab, 'cloneVirtualMachine', {
      virtualmachineid: source,
      clonetype: 'instant',
      name: 'failed',
    })
    assert.ok(failed['errortext'])
    const { id } = await lab.app.db.selectFrom('vm').select('id').where('name', '=', 'failed').executeTakeFirstOrThrow()
    assert.ok(!lab.world.waiting.has(id))
    await expunge(lab, id)
    await waiting(most)
  })

  const drained: readonly (readonly [string, () => Promise<unknown>, () => Promise<unknown>])[] = [
    [
      'their memory is taken from the budget',
      () => call(lab, 'updateConfiguration', { name: 'instantclone.warm.memory', value: 0 }),
      () => call(lab, 'resetConfiguration', { name: 'instantclone.warm.memory' }),
    ],
    [
      'the host is in maintenance',
      () => lab.app.db.updateTable('host').set({ resource_state: 'Maintenance' }).execute(),
      () => lab.app.db.updateTable('host').set({ resource_state: 'Enabled' }).execute(),
    ],
    [
      'the account is disabled',
      () => lab.app.db.updateTable('account').set({ state: 'disabled' }).execute(),
      () => lab.app.db.updateTable('account').set({ state: 'enabled' }).execute(),
    ],
    [
      'the host has little memory left',
      async () => void (lab.world.hostMemoryMib = 512),
      async () => void (lab.world.hostMemoryMib = 2 ** 20),
    ],
  ]
  for (const [why, begin, end] of drained)
    test(`none waits while ${why}`, async () => {
      await waiting(most)
      await begin()
      await waiting(none)
      await end()
      await waiting(most)
    })

  test('they end with the server, and with the machine that they go on from', async () => {
    await waiting(most)
    await lab.restart()
    assert.equal(lab.world.waiting.size, 0)
    await aClone(lab, source, 'instant', { name: 'after' })
    await waiting(1, most)
    const clones = await lab.app.db.selectFrom('vm').select('id').where('is_instant', '=', true).execute()
    for (const { id } of clones) await expunge(lab, id)
    await callJob(lab, 'destroyVirtualMachine', { id: source, expunge: true })
    await waiting(none)
    await quiet(lab)
  })
})
