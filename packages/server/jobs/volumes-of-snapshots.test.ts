// Volumes and templates of snapshots, on a simulated hypervisor with real contents: each shows what its disk showed then, whatever
// becomes of the snapshot and of the machine afterwards.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import type { VmId, VmSnapshotId, VolumeId } from '@ramet/core/ids.ts'
import { mostLayers } from '@ramet/core/layer.ts'
import type { Answer } from '../api/command.ts'
import { contentOf } from '../drivers/simulated/snapshots.ts'
import { layerChain } from '../store/layers.ts'
import { type Volume, volumeById, volumesOf } from '../store/volumes.ts'
import { call, callJob, type Given, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { anAccount, ended, type Lab, quiet, simulatedLab } from '../testing/lab.ts'
import { callerOf } from '../testing/realm.ts'
import { aTwoDiskMachine, found, remove, revert, take, write } from '../testing/vm-snapshots.ts'
import { aMachine, aUsed, aVolume } from '../testing/volumes.ts'

const gib = 2 ** 30

describe('volumes and templates of snapshots', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab()
  })
  beforeEach(() => quiet(lab))
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const volumeOf = async (id: unknown) => (await volumeById(lab.app.db, id as VolumeId)) as Volume
  const shownBy = async (id: unknown) => contentOf(lab.world, (await volumeOf(id)).layer_id)[0]
  const depthOf = async (id: unknown) => (await layerChain(lab.app.db, (await volumeOf(id)).layer_id ?? fail())).length
  const fail = (): never => assert.fail('the volume has no disk')
  const make = async (given: Given): Promise<Answer> => {
    const { volume, errortext } = await callJob(lab, 'createVolume', given)
    assert.ok(volume, String(errortext))
    return volume as Answer
  }
  const disksOf = async (vm: VmId) => (await volumesOf(lab.app.db, vm)) as [Volume, Volume]
  const problemOf = async (name: string, given: Given): Promise<{ code: string; message: string; kind: string }> =>
    call(lab, name, given).then(
      () => assert.fail(`${name} ${JSON.stringify(given)} was not refused`),
      error => error as { code: string; message: string; kind: string },
    )
  const first = async (table: 'zone' | 'disk_offering') =>
    (await lab.app.db.selectFrom(table).select('id').executeTakeFirstOrThrow()).id

  /** A-(B, C), and more written since; the machine runs. */
  async function aTree() {
    const vm = await aTwoDiskMachine(lab)
    const at = async (text: string) => {
      write(lab, vm, text)
      return take(lab, vm, text)
    }
    const [a, b] = [await at('a'), await at('b')]
    await revert(lab, a)
    await callJob(lab, 'startVirtualMachine', { id: vm })
    const c = await at('c')
    write(lab, vm, 'later')
    return { vm, a, b, c }
  }

  for (const clonetype of ['linked', 'full'] as const)
    test(`every node of a tree gives its root and its data volume, ${clonetype}`, async () => {
      const { vm, ...nodes } = await aTree()
      for (const [text, vmsnapshotid] of Object.entries(nodes))
        for (const source of await disksOf(vm)) {
          const volume = await make({ vmsnapshotid, volumeid: source.id, name: text, clonetype })
          assert.equal(await shownBy(volume['id']), text)
          assert.deepEqual(
            [volume['state'], volume['type'], volume['size'], volume['storageid'], volume['virtualmachineid']],
            ['Ready', 'DATADISK', source.size_bytes, source.pool_id, undefined],
          )
          assert.equal(volume['diskofferingid'], source.disk_offering_id ?? undefined)
          assert.equal((await depthOf(volume['id'])) > 1, clonetype === 'linked')
        }
      assert.deepEqual(await found(lab, vm), ['later', 'later'])
      assert.equal((await listed(lab, 'listVMSnapshot', { virtualmachineid: vm })).length, 3)
    })

  async function layersOfAccounts(): Promise<number> {
    const all = await lab.app.db.selectFrom('layer').select('id').where('account_id', 'is not', null).execute()
    return all.length
  }

  test('they outlive the snapshot and the machine, and leave nothing behind', async () => {
    const earlier = await layersOfAccounts()
    const { vm, a, b, c } = await aTree()
    const [root, data] = await disksOf(vm)
    const linked = (await make({ vmsnapshotid: b, volumeid: root.id }))['id'] as string
    const full = (await make({ vmsnapshotid: b, volumeid: data.id, clonetype: 'full' }))['id'] as string
    for (const id of [b, a, c]) await remove(lab, id)
    await quiet(lab)
    assert.deepEqual([await shownBy(linked), await shownBy(full)], ['b', 'b'])
    assert.deepEqual(await found(lab, vm), ['later', 'later'])
    await callJob(lab, 'destroyVirtualMachine', { id: vm, expunge: true, volumeids: data.id })
    await quiet(lab)
    assert.deepEqual([await shownBy(linked), await shownBy(full)], ['b', 'b'])
    const { vm: other } = await aMachine(lab, 'Running')
    await callJob(lab, 'attachVolume', { id: linked, virtualmachineid: other })
    assert.equal((await found(lab, other))[1], 'b')
    await callJob(lab, 'detachVolume', { id: linked })
    for (const id of [linked, full]) await call(lab, 'deleteVolume', { id })
    await callJob(lab, 'destroyVirtualMachine', { id: other, expunge: true })
    await quiet(lab)
    assert.equal(await layersOfAccounts(), earlier)
  })

  test('the setting of the storage pool decides where the call does not', async () => {
    const vm = await aTwoDiskMachine(lab)
    const vmsnapshotid = await take(lab, vm, 'one')
    const [root] = await disksOf(vm)
    const set = (value: boolean) =>
      call(lab, 'updateConfiguration', { name: 'kvm.create.full.clone', value, storageid: root.pool_id as string })
    await set(true)
    const full = await make({ vmsnapshotid, volumeid: root.id })
    await set(false)
    const linked = await make({ vmsnapshotid, volumeid: root.id })
    assert.deepEqual([(await depthOf(full['id'])) > 1, (await depthOf(linked['id'])) > 1], [false, true])
  })

  test('a chain that would be too long is flattened, or refused where linked was asked for', async () => {
    await call(lab, 'updateConfiguration', { name: 'vmsnapshot.max', value: 2 * mostLayers })
    const vm = await aTwoDiskMachine(lab)
    let vmsnapshotid = '' as VmSnapshotId
    for (let n = 1; n < mostLayers; n++) vmsnapshotid = await take(lab, vm, `n${n}`)
    const [root, data] = await disksOf(vm)
    const asked = { vmsnapshotid, volumeid: root.id }
    assert.equal(await depthOf((await make({ vmsnapshotid, volumeid: data.id }))['id']), mostLayers)
    assert.equal(await depthOf((await make(asked))['id']), 1)
    const refused = await callJob(lab, 'createVolume', { ...asked, clonetype: 'linked' })
    assert.match(String(refused['errortext']), /16 disk layers.*clonetype=full/)
  })

  test('it is attached at once where that is asked for, also when two machines exchange disks', async () => {
    const [one, two] = [await aTwoDiskMachine(lab), await aTwoDiskMachine(lab)]
    const [[, dataOne], [, dataTwo]] = [await disksOf(one), await disksOf(two)]
    write(lab, one, 'of one')
    write(lab, two, 'of two')
    const [snapOne, snapTwo] = [await take(lab, one, 'one'), await take(lab, two, 'two')]
    const third = (await aMachine(lab, 'Running')).vm
    const { volume } = await callJob(lab, 'createVolume', {
      vmsnapshotid: snapOne,
      volumeid: dataOne.id,
      virtualmachineid: third,
    })
    assert.equal((volume as Answer)['virtualmachineid'], third)
    assert.deepEqual((await found(lab, third))[1], 'of one')
    // Each machine has VM snapshots, so neither attachment succeeds; but both jobs end, and the volumes are there.
    const crossed = await Promise.all([
      callJob(lab, 'createVolume', { vmsnapshotid: snapOne, volumeid: dataOne.id, virtualmachineid: two }),
      callJob(lab, 'createVolume', { vmsnapshotid: snapTwo, volumeid: dataTwo.id, virtualmachineid: one }),
    ])
    for (const { errortext } of crossed) assert.match(String(errortext), /has a VM snapshot/)
  })

  test('an attachment fails of what its volume failed of', async () => {
    const vm = await aTwoDiskMachine(lab)
    const vmsnapshotid = await take(lab, vm, 'one')
    const other = (await aMachine(lab, 'Stopped')).vm
    lab.world.faults.set('layers.fork', 1)
    const given = { vmsnapshotid, volumeid: (await disksOf(vm))[0].id, name: 'failed', virtualmachineid: other }
    assert.match(String((await callJob(lab, 'createVolume', given))['errortext']), /refuses layers.fork/)
    assert.deepEqual(await listed(lab, 'listVolumes', { name: 'failed' }), [])
  })

  test('bad input is refused with the reason', async () => {
    const { vm, a } = await aTree()
    const [root, data] = await disksOf(vm)
    const [stranger, other] = [await aUsed(lab), await aTwoDiskMachine(lab)]
    const diskofferingid = await first('disk_offering')
    const both = { vmsnapshotid: a, volumeid: data.id }
    for (const [given, why] of [
      [{ vmsnapshotid: a }, /volumeid is missing/],
      [{ volumeid: root.id, zoneid: await first('zone') }, /vmsnapshotid is missing/],
      [{ vmsnapshotid: a, volumeid: stranger }, /volumeid names .*, of which VM snapshot a has no disk/],
      [{ vmsnapshotid: a, volumeid: (await disksOf(other))[1].id }, /volumeid names .*has no disk/],
      [{ ...both, diskofferingid }, /Parameter diskofferingid and vmsnapshotid exclude each other/],
      [{ ...both, size: 5 }, /Parameter size and vmsnapshotid exclude/],
      [{ ...both, storageid: root.pool_id as string }, /Parameter storageid and vmsnapshotid exclude/],
      [{ ...both, snapshotid: a }, /Parameter snapshotid and vmsnapshotid exclude each other/],
      [{ ...both, virtualmachineid: vm }, /virtualmachineid .*VM snapshots/],
      [{ ...both, zoneid: diskofferingid }, /zoneid/],
      [{ zoneid: await first('zone'), diskofferingid, clonetype: 'full' }, /clonetype is for volumes of a VM snapshot/],
      [{ zoneid: await first('zone') }, /diskofferingid is missing, or snapshotid/],
    ] as const) {
      const { kind, message } = await problemOf('createVolume', given)
      assert.equal(kind, 'invalid', message)
      assert.match(message, why)
    }
    await lab.app.db.updateTable('vm_snapshot').set({ state: 'Error' }).where('id', '=', a).execute()
    assert.match((await problemOf('createVolume', both)).message, /a is Error; use is possible only when it is Ready/)
    assert.match((await problemOf('createTemplate', { name: 'x', vmsnapshotid: a })).message, /a is Error/)
    await lab.app.db.updateTable('vm_snapshot').set({ state: 'Ready' }).where('id', '=', a).execute()
    for (const [given, why] of [
      [{ vmsnapshotid: a, volumeid: root.id }, /Parameter vmsnapshotid and volumeid exclude each other/],
      [{}, /volumeid is missing, or snapshotid or vmsnapshotid is/],
    ] as const)
      assert.match((await problemOf('createTemplate', { name: 'x', ...given })).message, why)
  })

  test('a volume belongs to the account of the snapshot, and to no other', async () => {
    const vm = await aTwoDiskMachine(lab)
    const [root] = await disksOf(vm)
    const given = { vmsnapshotid: await take(lab, vm, 'one'), volumeid: root.id }
    const { domain_id: domain } = await lab.app.db.selectFrom('account').select('domain_id').executeTakeFirstOrThrow()
    const member = { ...(await anAccount(lab, domain)), domain }
    await assert.rejects(call(lab, 'createVolume', given, await callerOf(lab, member)), /may not use/)
    const { message } = await problemOf('createVolume', { ...given, account: member.account })
    assert.match(message, /belongs to the account of its snapshot/)
  })

  test('without room a full one is refused, and nothing is left; a linked one needs none', async () => {
    const vm = await aTwoDiskMachine(lab)
    const [root] = await disksOf(vm)
    const given = { vmsnapshotid: await take(lab, vm, 'one'), volumeid: root.id, name: 'no-room' }
    const pool = lab.app.db.updateTable('storage_pool').where('id', '=', root.pool_id)
    const { free_bytes } = await lab.app.db.selectFrom('storage_pool').selectAll().executeTakeFirstOrThrow()
    await pool.set({ free_bytes: 0 }).execute()
    const full = await callJob(lab, 'createVolume', { ...given, clonetype: 'full' })
    assert.deepEqual([full['errorcode'], /has no room/.test(String(full['errortext']))], [533, true])
    assert.deepEqual(await listed(lab, 'listVolumes', { name: 'no-room' }), [])
    await make({ ...given, clonetype: 'linked' })
    await pool.set({ free_bytes }).execute()
  })

  test('the snapshot is deleted after the copy of its disk, not during it', async () => {
    const vm = await aTwoDiskMachine(lab)
    write(lab, vm, 'then')
    const vmsnapshotid = await take(lab, vm, 'one')
    write(lab, vm, 'now')
    const [root] = await disksOf(vm)
    const copying = call(lab, 'createVolume', { vmsnapshotid, volumeid: root.id, clonetype: 'full' })
    const { jobid, id } = (await copying) as { jobid: never; id: string }
    await remove(lab, vmsnapshotid)
    assert.equal((await ended(lab, jobid)).state, 'done')
    await quiet(lab)
    assert.equal(await shownBy(id), 'then')
  })

  test('a snapshot of a volume becomes a volume: on a storage with room, as large as asked, attached if asked', async () => {
    const source = await volumeOf(await aUsed(lab))
    const { snapshot } = await callJob(lab, 'createSnapshot', { volumeid: source.id })
    const snapshotid = (snapshot as Answer)['id'] as string
    const same = await make({ snapshotid })
    assert.deepEqual([same['state'], same['size'], same['storageid']], ['Ready', gib, source.pool_id])
    const { vm } = await aMachine(lab, 'Running')
    const larger = await make({ snapshotid, size: 3, virtualmachineid: vm, zoneid: source.zone_id })
    assert.deepEqual([larger['size'], larger['virtualmachineid']], [3 * gib, vm])
    const offering = await call(lab, 'createDiskOffering', {
      name: 'tagged',
      displaytext: 'x',
      disksize: 2,
      tags: 'fast',
    })
    const diskofferingid = (offering['diskoffering'] as Answer)['id'] as string
    const nowhere = await callJob(lab, 'createVolume', { snapshotid, diskofferingid, name: 'nowhere' })
    assert.match(
      String(nowhere['errortext']),
      /No host of the zone reaches a storage pool that is Up and has the tags fast/,
    )
    assert.deepEqual(await listed(lab, 'listVolumes', { name: 'nowhere' }), [])
    await lab.app.db
      .updateTable('snapshot')
      .set({ virtual_bytes: 5 * gib })
      .where('id', '=', snapshotid as never)
      .execute()
    for (const [given, why] of [
      [{ size: 4 }, /size asks for 4 GiB, and the snapshot needs 5.0 GiB/],
      [{ diskofferingid }, /diskofferingid asks for 2 GiB/],
      [{ vmsnapshotid: source.id }, /Parameter snapshotid and vmsnapshotid exclude/],
    ] as const)
      assert.match((await problemOf('createVolume', { snapshotid, ...given })).message, why)
    await lab.app.db
      .updateTable('snapshot')
      .set({ state: 'BackingUp' })
      .where('id', '=', snapshotid as never)
      .execute()
    assert.equal((await problemOf('createVolume', { snapshotid })).code, 'wrong-snapshot-state')
  })

  test('a node becomes a template, while its machine runs; machines are made of it', async () => {
    const { vm, b } = await aTree()
    const { template, errortext } = await callJob(lab, 'createTemplate', { name: 'of-b', vmsnapshotid: b })
    assert.ok(template, String(errortext))
    assert.equal((template as Answer)['isready'], true)
    assert.deepEqual(await found(lab, vm), ['later', 'later'])
    const { message } = await problemOf('createTemplate', { name: 'x', vmsnapshotid: await aVolume(lab) })
    assert.match(message, /vmsnapshotid: there is nothing/)
  })
})
