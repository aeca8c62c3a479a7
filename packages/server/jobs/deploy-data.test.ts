// Machines from VM snapshots with their data volumes, on a simulated hypervisor with real contents: each on its own storage, and none
// left over when the machine fails.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type JobId, newId, type VmId, type VmSnapshotId } from '@ramet/core/ids.ts'
import { contentOf, writeDisk } from '../drivers/simulated/snapshots.ts'
import { volumesOf } from '../store/volumes.ts'
import { call, callJob, type Given, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { aDomain, anAccount, ended, type Lab, quiet, simulatedLab, stateOf } from '../testing/lab.ts'
import { remove, take } from '../testing/vm-snapshots.ts'
import { aMachine, aVolume, done } from '../testing/volumes.ts'
import { attachVolume } from './attach-volume.ts'

describe('a machine from a VM snapshot with its data volumes', () => {
  let lab: Lab
  let source: VmId
  let snapshot: VmSnapshotId

  before(async () => {
    lab = await simulatedLab()
    source = (await aMachine(lab, 'Running')).vm
    const { db } = lab.app
    const pool = await db.selectFrom('storage_pool').selectAll().executeTakeFirstOrThrow()
    const other = { ...pool, id: newId<'storage-pool'>(), name: 'other', path: '/other' }
    await db.insertInto('storage_pool').values(other).execute()
    for (const [place, pool_id] of [pool.id, other.id, pool.id].entries()) {
      const volume = await aVolume(lab, { pool_id, size_bytes: (place + 1) * 2 ** 30 })
      await done(lab, attachVolume, { volume, vm: source, deviceId: null, layer: newId<'layer'>() })
    }
    write('then')
    snapshot = await take(lab, source, 'one')
    write('now')
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const places = [0, 1, 2, 4]
  const write = (text: string) => {
    for (const place of places) writeDisk(lab.world, source, place, 0, `${text} ${place}`)
  }
  const deploy = (given: Given = {}) =>
    callJob(lab, 'deployVirtualMachine', { vmsnapshotid: snapshot, datavolumes: true, ...given })
  const disksOf = async (vm: VmId) =>
    (await volumesOf(lab.app.db, vm)).map(each => ({ ...each, shows: contentOf(lab.world, each.layer_id)[0] }))
  const machine = async (given: Given = {}): Promise<VmId> => {
    const { virtualmachine, errortext } = await deploy(given)
    assert.ok(virtualmachine, String(errortext))
    return (virtualmachine as { id: VmId }).id
  }
  const inventory = async () => {
    await quiet(lab)
    const count = async (table: 'volume' | 'layer') => {
      const rows = lab.app.db.selectFrom(table).select('id')
      return (await (table === 'volume' ? rows.where('removed' as never, 'is', null) : rows).execute()).length
    }
    return [await count('volume'), await count('layer'), lab.world.layers.size]
  }

  for (const clonetype of ['linked', 'full'] as const)
    test(`has all of them at their places, each on its own storage, ${clonetype}`, async () => {
      const [vm, theirs] = [await machine({ clonetype }), await disksOf(source)]
      const disks = await disksOf(vm)
      assert.deepEqual(
        disks.map(({ device_id, shows, state, pool_id, size_bytes }) => [device_id, shows, state, pool_id, size_bytes]),
        theirs.map(({ device_id, pool_id, size_bytes }) => [
          device_id,
          `then ${device_id}`,
          'Ready',
          pool_id,
          size_bytes,
        ]),
      )
      assert.deepEqual(Object.keys(lab.world.machines.get(vm)?.disks ?? {}).map(Number), places)
      assert.ok(disks.every(({ attached }) => attached))
      const told = await listed(lab, 'listEvents', { type: 'VOLUME.CREATE', listall: true, pagesize: 500, page: 1 })
      for (const { id } of disks) assert.ok(told.some(each => each['resourceid'] === id))
      await callJob(lab, 'destroyVirtualMachine', {
        id: vm,
        expunge: true,
        volumeids: disks
          .slice(1)
          .map(({ id }) => id)
          .join(),
      })
    })

  test('has none of them where nobody asks for them', async () => {
    const { virtualmachine } = await callJob(lab, 'deployVirtualMachine', { vmsnapshotid: snapshot })
    const vm = (virtualmachine as { id: VmId }).id
    assert.equal((await disksOf(vm)).length, 1)
    await callJob(lab, 'destroyVirtualMachine', { id: vm, expunge: true })
  })

  test('leaves no volume when it fails, whatever step it is', async () => {
    const earlier = await inventory()
    for (const [fault, clonetype] of [
      ['machines.start', 'linked'],
      ['layers.fork', 'linked'],
      ['layers.copy', 'full'],
    ] as const) {
      lab.world.faults.set(fault, 1)
      const { errortext } = await deploy({ name: `fails-at-${fault.replace('.', '-')}`, clonetype })
      assert.match(String(errortext), new RegExp(`refuses ${fault}`))
      const [vm] = await listed(lab, 'listVirtualMachines', { name: `fails-at-${fault.replace('.', '-')}` })
      assert.equal(vm?.['state'], 'Error')
      await callJob(lab, 'destroyVirtualMachine', { id: vm['id'] as string, expunge: true })
      assert.deepEqual(await inventory(), earlier, fault)
    }
  })

  test('leaves none when it is cancelled while they are made', async () => {
    const earlier = await inventory()
    lab.world.delays.set('layers.copy', 300)
    const { jobid, id } = (await call(lab, 'deployVirtualMachine', {
      vmsnapshotid: snapshot,
      datavolumes: true,
      clonetype: 'full',
    })) as { jobid: JobId; id: VmId }
    await call(lab, 'cancelJob', { jobid })
    assert.equal((await ended(lab, jobid)).state, 'cancelled')
    lab.world.delays.delete('layers.copy')
    await callJob(lab, 'destroyVirtualMachine', { id, expunge: true })
    assert.deepEqual(await inventory(), earlier)
  })

  test('is refused where that cannot be', async () => {
    const [template] = await listed(lab, 'listTemplates', { templatefilter: 'all' })
    const [offering] = await listed(lab, 'listServiceOfferings')
    const ofTemplate = { templateid: String(template?.['id']), zoneid: String(template?.['zoneid']) }
    const [disk] = await listed(lab, 'listDiskOfferings')
    const { account } = await anAccount(lab, await aDomain(lab, 'elsewhere'))
    const { domain_id } = await lab.app.db
      .selectFrom('account')
      .select('domain_id')
      .where('id', '=', account)
      .executeTakeFirstOrThrow()
    for (const [given, why] of [
      [{ ...ofTemplate, serviceofferingid: String(offering?.['id']) }, /datavolumes is for machines from VM snapshots/],
      [
        { vmsnapshotid: snapshot, diskofferingid: String(disk?.['id']), size: 1 },
        /datavolumes and diskofferingid|size/,
      ],
      [
        { vmsnapshotid: snapshot, account, domainid: domain_id },
        /datavolumes is not possible.*account of its snapshot/,
      ],
    ] as const)
      await assert.rejects(call(lab, 'deployVirtualMachine', { ...given, datavolumes: true }), why)
  })

  test('stays as it is when snapshot and source go', async () => {
    const vm = await machine()
    await remove(lab, snapshot)
    const data = (await disksOf(source)).slice(1).map(({ id }) => id)
    await callJob(lab, 'destroyVirtualMachine', { id: source, expunge: true, volumeids: data.join() })
    await quiet(lab)
    assert.equal(await stateOf(lab, vm), 'Running')
    assert.deepEqual(
      (await disksOf(vm)).map(({ shows }) => shows),
      places.map(place => `then ${place}`),
    )
  })
})
