// What is told of VM snapshots, what is refused and why, and how long they live.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { call, callJob, type Given } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { anAccount, type Lab, quiet, simulatedLab } from '../testing/lab.ts'
import { callerOf } from '../testing/realm.ts'
import {
  aTree,
  aTwoDiskMachine,
  found,
  mixed,
  refusal,
  revert,
  setting,
  snapshotsOf,
  stop,
  take,
  tree,
} from '../testing/vm-snapshots.ts'

describe('VM snapshots', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab()
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  test('are found by every filter and by keyword', async () => {
    const vm = await aTwoDiskMachine(lab)
    const one = await take(lab, vm, 'Before upgrade', { description: 'of the database' })
    const two = await take(lab, vm, 'nightly')
    const names = async (given: Given) => (await snapshotsOf(lab, vm, given)).map(each => each['displayname'])
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
    assert.equal((await refusal(lab, 'listVMSnapshot', { vmsnapshotid: one, vmsnapshotids: two }))['kind'], 'invalid')
  })

  test('are counted: a warning from half of vmsnapshot.max, a refusal beyond it', async () => {
    const vm = await aTwoDiskMachine(lab)
    await setting(lab, 'vmsnapshot.max', 2)
    await take(lab, vm, 'one')
    assert.match(String((await snapshotsOf(lab, vm))[0]?.['warning']), /1 of at most 2/)
    await take(lab, vm, 'two')
    const refused = await refusal(lab, 'createVMSnapshot', { virtualmachineid: vm, name: 'three' })
    assert.equal(refused['code'], 'too-many-vm-snapshots')
    await setting(lab, 'vmsnapshot.max', 10)
    assert.equal(
      (await refusal(lab, 'createVMSnapshot', { virtualmachineid: vm, name: 'two' }))['code'],
      'vm-snapshot-name-taken',
    )
  })

  test('bad input is refused with the reason, and changes nothing', async () => {
    const { vm, A } = await aTree(lab, mixed)
    const earlier = await tree(lab, vm)
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
    assert.equal((await refusal(lab, 'createVMSnapshot', { virtualmachineid: vm }))['code'], 'wrong-vm-state')
    await lab.app.db.updateTable('vm').set({ state: 'Running' }).where('id', '=', vm).execute()
    assert.deepEqual(await tree(lab, vm), earlier)
  })

  test('the power state stays where vmsnapshot.revert.change.state is off', async () => {
    const { vm, A, B } = await aTree(lab, mixed)
    await setting(lab, 'vmsnapshot.revert.change.state', false)
    const one = await callJob(lab, 'revertToVMSnapshot', { vmsnapshotid: A })
    await stop(lab, vm)
    const other = await callJob(lab, 'revertToVMSnapshot', { vmsnapshotid: B })
    for (const { errorcode } of [one, other]) assert.equal(errorcode, 431)
    assert.deepEqual(await found(lab, vm), ['later', 'later'])
    await setting(lab, 'vmsnapshot.revert.change.state', true)
  })

  for (const keep of [false, true])
    test(`destroyed with its machine${keep ? ', or kept until it is expunged (vmsnapshot.keep.until.expunge)' : ''}`, async () => {
      await setting(lab, 'vmsnapshot.keep.until.expunge', keep)
      const { vm, B } = await aTree(lab, mixed)
      await callJob(lab, 'destroyVirtualMachine', { id: vm })
      await quiet(lab)
      assert.equal((await snapshotsOf(lab, vm)).length, keep ? 3 : 0)
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
      await setting(lab, 'vmsnapshot.keep.until.expunge', false)
      assert.deepEqual(await snapshotsOf(lab, vm), [])
    })

  test('hypervisors may be without them', async () => {
    const vm = await aTwoDiskMachine(lab)
    await call(lab, 'updateHypervisorCapabilities', { hypervisor: 'Simulator', vmsnapshotenabled: false })
    assert.equal((await refusal(lab, 'createVMSnapshot', { virtualmachineid: vm }))['code'], 'vm-snapshot-disabled')
    await call(lab, 'updateHypervisorCapabilities', { hypervisor: 'Simulator', vmsnapshotenabled: true })
  })

  test('only one operation is at work on a machine at a time', async () => {
    const vm = await aTwoDiskMachine(lab)
    lab.world.delays.set('machines.cut', 500)
    await call(lab, 'createVMSnapshot', { virtualmachineid: vm, name: 'one' })
    const refused = await refusal(lab, 'createVMSnapshot', { virtualmachineid: vm, name: 'two' })
    lab.world.delays.delete('machines.cut')
    assert.equal(refused['kind'], 'busy')
    await quiet(lab)
    assert.deepEqual(await tree(lab, vm), [' > one *'])
  })
})
