// Machines made from VM snapshots: what the call needs and what it is refused for, whose they are, and what is told of them. On a
// simulated hypervisor with real contents.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId, type VmId } from '@ramet/core/ids.ts'
import { sql } from 'kysely'
import { contentOf, writeDisk } from '../drivers/simulated/snapshots.ts'
import { inTransaction } from '../store/database.ts'
import { insertNic } from '../store/nics.ts'
import { volumesOf } from '../store/volumes.ts'
import { call, callJob, type Given, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { aDomain, anAccount, anIso, ended, type Lab, quiet, simulatedLab, stateOf } from '../testing/lab.ts'
import { callerOf } from '../testing/realm.ts'
import { remove, revert, take } from '../testing/vm-snapshots.ts'
import { aMachine, aRemotePool, aVolume, done } from '../testing/volumes.ts'
import { attachVolume } from './attach-volume.ts'
import { snapshotDeployments } from '../testing/snapshot-deployments.ts'

const modes = ['seed', 'direct'] as const
const types = ['linked', 'full'] as const

describe('a machine from a VM snapshot, by rule', () => {
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
    seedsOf,
    setMode,
    offeringOf,
    deploy,
    begin,
    destroy,
    contents,
    aSnapshot,
    aSnapshotOf,
    outcome,
    refused,
    aPoolBeside,
  } = snapshotDeployments(() => lab)

  test('needs no template, zone or offering, and listApis says so', async () => {
    const { api } = await call(lab, 'listApis', { name: 'deployVirtualMachine' })
    const [{ params }] = api as [{ params: { name: string; required: boolean }[] }]
    const required = new Map(params.map(({ name, required: must }) => [name, must]))
    for (const name of ['templateid', 'zoneid', 'serviceofferingid', 'vmsnapshotid'])
      assert.equal(required.get(name), false, name)
  })

  test('is refused with a reason where the call is wrong', async () => {
    const { vm, snapshot } = await aSnapshot()
    const { template_id, service_offering_id } = await row(vm)
    await refused(
      snapshot,
      { templateid: template_id ?? '' },
      'invalid',
      /vmsnapshotid and templateid exclude each other/,
    )
    const [zoneid, serviceofferingid] = [(await row(vm)).zone_id, service_offering_id]
    await assert.rejects(
      call(lab, 'deployVirtualMachine', { zoneid, serviceofferingid }),
      /Parameter templateid is missing, or vmsnapshotid is/,
    )
    await assert.rejects(
      call(lab, 'deployVirtualMachine', { templateid: template_id ?? '', serviceofferingid }),
      /zoneid is missing/,
    )
    await assert.rejects(
      call(lab, 'deployVirtualMachine', { templateid: template_id ?? '', zoneid }),
      /serviceofferingid is missing/,
    )
    await refused(snapshot, { zoneid: newId() }, 'invalid', /zoneid is another zone/)
    await refused(snapshot, { hypervisor: 'VMware' }, 'invalid', /hypervisor is VMware/)
    await refused(
      snapshot,
      { serviceofferingid: await offeringOf('Medium Instance') },
      'invalid',
      /serviceofferingid asks for 2 CPUs; the machine had 1 when VM snapshot one was taken/,
    )
    await refused(snapshot, { networkids: newId() }, 'invalid', /networkids/)
    await refused(newId<'vm-snapshot'>(), {}, 'invalid', /vmsnapshotid/)
    await lab.app.db.updateTable('vm_snapshot').set({ state: 'Error' }).where('id', '=', snapshot).execute()
    await refused(snapshot, {}, 'refused', /is Error; use is possible only when it is Ready/)
    await lab.app.db.updateTable('vm_snapshot').set({ state: 'Ready' }).where('id', '=', snapshot).execute()
    for (const wrong of [{ storageid: await aRemotePool(lab) }, { zoneid: newId() }, { templateid: template_id ?? '' }])
      await assert.rejects(call(lab, 'prepareTemplate', { vmsnapshotid: snapshot, ...wrong }), { kind: 'invalid' })
    await assert.rejects(call(lab, 'prepareTemplate', {}), /templateid is missing/)
    assert.deepEqual(await seedsOf(snapshot), [])
    await deploy(snapshot, { zoneid, hypervisor: 'simulator' })
  })

  test('is its owner’s: others do not see the snapshot, and administrators make machines for them', async () => {
    const { snapshot } = await aSnapshot()
    const { account, user } = await anAccount(lab, await aDomain(lab, newId()))
    const { domain_id } = await lab.app.db
      .selectFrom('account')
      .select('domain_id')
      .where('id', '=', account)
      .executeTakeFirstOrThrow()
    const stranger = await callerOf(lab, { account, user, domain: domain_id })
    await assert.rejects(call(lab, 'deployVirtualMachine', { vmsnapshotid: snapshot }, stranger), { kind: 'forbidden' })
    const owner = { account, domainid: domain_id }
    const vm = await deploy(snapshot, owner)
    assert.equal((await row(vm)).account_id, account)
    await setMode('direct')
    await refused(snapshot, owner, 'refused', /another account's/)
    assert.equal(await parentOf((await rootOf(await deploy(snapshot, { ...owner, clonetype: 'full' }))).layer_id), null)
    await setMode('seed')
  })

  test('stands right on a disk of 15 layers at most', async () => {
    await setMode('direct')
    let { vm, snapshot } = await aSnapshot()
    const made: VmId[] = []
    for (let layers = 3; layers <= 16; layers += 1) {
      vm = await deploy(snapshot, { startvm: false })
      made.push(vm)
      const [shown] = await listed(lab, 'listVirtualMachines', { id: vm })
      assert.equal(shown?.['chaindepth'], layers)
      snapshot = await take(lab, vm, 'next')
    }
    await refused(snapshot, {}, 'refused', /has 16 layers, and a machine right on it .* may have 16.*clonetype=full/)
    assert.equal(await parentOf((await rootOf(await deploy(snapshot, { clonetype: 'full' }))).layer_id), null)
    await setMode('seed')
    await deploy(snapshot)
  })

  test('has as many CPUs as the hypervisor says that the machine had', async () => {
    const { vm } = await aMachine(lab, 'Running')
    const snapshot = await take(lab, vm, 'with memory', { snapshotmemory: true })
    for (const image of lab.world.memory.values()) lab.world.memory.set(image.id, { ...image, cpus: 2 })
    const { vm: made, job } = await begin(snapshot)
    const { problem } = await ended(lab, job)
    assert.deepEqual([problem?.code, await stateOf(lab, made)], ['other-cpus', 'Error'])
    assert.ok(lab.world.calls.includes('machines.getVmSnapshotConfigs'))
  })

  for (const mode of modes)
    test(`lives as any other does, while its snapshot and the source do: ${mode}`, async () => {
      await setMode(mode)
      const { vm: source, snapshot } = await aSnapshot()
      writeDisk(lab.world, source, 0, 0, 'later')
      const vm = await deploy(snapshot, { clonetype: 'linked' })
      await setMode('seed')
      const ok = async (name: string, given: Given) => {
        const answer = await outcome(name, given)
        assert.equal(answer['errortext'], undefined, `${name}: ${String(answer['errortext'])}`)
        return answer
      }
      writeDisk(lab.world, vm, 0, 0, 'then')
      const warm = await take(lab, vm, 'warm', { snapshotmemory: true })
      writeDisk(lab.world, vm, 0, 0, 'now')
      await revert(lab, warm)
      assert.equal(await contents(vm), 'then')
      await remove(lab, warm)
      await quiet(lab)
      const volume = await aVolume(lab)
      await ok('attachVolume', { id: volume, virtualmachineid: vm })
      await ok('migrateVirtualMachine', { virtualmachineid: vm, autoselect: true })
      await ok('detachVolume', { id: volume })
      await ok('resizeVolume', { id: (await rootOf(vm)).id, size: 2 })
      await ok('rebootVirtualMachine', { id: vm })
      await ok('stopVirtualMachine', { id: vm, forced: true })
      await ok('scaleVirtualMachine', { id: vm, serviceofferingid: await offeringOf('Medium Instance') })
      await ok('startVirtualMachine', { id: vm })
      assert.deepEqual([await contents(vm), (await row(vm)).cpus], ['then', 2])
      await ok('destroyVirtualMachine', { id: vm })
      await call(lab, 'recoverVirtualMachine', { id: vm })
      await ok('startVirtualMachine', { id: vm })
      await destroy(vm)
      await quiet(lab)
      assert.equal(contentOf(lab.world, (await rootOf(source)).layer_id)[0], 'later')
      assert.equal(await contents(await deploy(snapshot)), undefined)
    })

  test('comes of sources with none, one and three data disks on two storages, and with none, one and two networks', async () => {
    const { db } = lab.app
    const far = await aPoolBeside()
    const [lan] = await db.selectFrom('network').selectAll().execute()
    assert.ok(lan)
    const other = newId<'network'>()
    await db
      .insertInto('network')
      .values({ ...lan, id: other, name: other })
      .execute()
    for (const count of [0, 1, 3]) {
      const { vm } = await aMachine(lab, 'Running')
      for (let disk = 0; disk < count; disk += 1) {
        const volume = await aVolume(lab, disk > 0 ? { pool_id: far } : {})
        await done(lab, attachVolume, { volume, vm, deviceId: null, layer: newId<'layer'>() })
      }
      if (count === 0) await db.deleteFrom('nic').where('vm_id', '=', vm).execute()
      if (count === 3) {
        const nic = { network: { ...lan, id: other, name: other }, place: 1, isDefault: false }
        const machine = await row(vm)
        await inTransaction(db, tx => insertNic(tx, machine, nic))
      }
      const snapshot = await take(lab, vm, 'one')
      for (const wanted of [[lan.id], [other, lan.id]]) {
        const made = await deploy(snapshot, { networkids: wanted.join(',') })
        assert.equal((await volumesOf(db, made)).length, 1)
        const nics = await db
          .selectFrom('nic')
          .select('network_id')
          .where('vm_id', '=', made)
          .orderBy('device_id')
          .execute()
        assert.deepEqual(
          nics.map(({ network_id }) => network_id),
          wanted,
        )
      }
    }
  })

  test('is restored to the template that it inherited, or to its ISO', async () => {
    const { vm: source, snapshot } = await aSnapshot()
    const vm = await deploy(snapshot)
    const restored = await callJob(lab, 'restoreVirtualMachine', { virtualmachineid: vm })
    assert.equal(restored['errortext'], undefined, String(restored['errortext']))
    assert.equal((await rootOf(vm)).template_id, (await row(source)).template_id)

    const iso = await anIso(lab)
    const [offering] = await listed(lab, 'listDiskOfferings', { name: 'Custom' })
    const asked = {
      templateid: iso,
      zoneid: (await row(vm)).zone_id,
      serviceofferingid: (await row(vm)).service_offering_id,
    }
    const disk = { diskofferingid: String(offering?.['id']), size: 2 }
    const installed = await callJob(lab, 'deployVirtualMachine', { ...asked, ...disk })
    assert.ok(installed['virtualmachine'], String(installed['errortext']))
    const from = await aSnapshotOf((installed['virtualmachine'] as { id: VmId }).id)
    for (const clonetype of types) {
      const other = await deploy(from.snapshot, { clonetype })
      const [{ iso_id, template_id }, root] = [await row(other), await rootOf(other)]
      assert.deepEqual([iso_id, template_id, root.disk_offering_id], [null, iso, disk.diskofferingid])
      const again = await callJob(lab, 'restoreVirtualMachine', { virtualmachineid: other })
      assert.equal(again['errortext'], undefined, String(again['errortext']))
      assert.equal((await row(other)).iso_id, iso)
      assert.equal(lab.world.machines.get(other)?.cd, iso)
    }
  })

  test('tells of the machine, its volume, its NIC, and of each thing that the hypervisor did for it', async () => {
    const { snapshot } = await aSnapshot()
    const vm = await deploy(snapshot)
    const root = await rootOf(vm)
    const { id: nic } = await lab.app.db
      .selectFrom('nic')
      .select('id')
      .where('vm_id', '=', vm)
      .executeTakeFirstOrThrow()
    const [seed] = await seedsOf(snapshot)
    const events = await lab.app.db
      .selectFrom('event')
      .selectAll()
      .where('state', '=', 'Completed')
      .orderBy('sequence')
      .execute()
    const told = (id: string | undefined) =>
      events.filter(({ resource_id }) => resource_id === id).map(({ type }) => type)
    assert.deepEqual(told(vm), ['VM.START', 'VM.CREATE'])
    assert.deepEqual(told(root.id), ['VOLUME.CREATE'])
    assert.deepEqual(told(nic), ['NIC.CREATE'])
    assert.deepEqual(told(root.layer_id), ['LAYER.CREATE'])
    assert.deepEqual(told(seed?.id), ['LAYER.CREATE'])
    assert.ok(told(snapshot).includes('VMSNAPSHOT.SEED'))
  })

  test('is made from a VM snapshot of an earlier version too', async () => {
    const { snapshot } = await aSnapshot()
    await quiet(lab)
    // The database as that version left it.
    await lab.app.db.deleteFrom('vmsnapshot_spool_ref').execute()
    await sql`drop table vmsnapshot_spool_ref`.execute(lab.app.db)
    await sql`delete from migration where name like '0011-%'`.execute(lab.app.db)
    await lab.restart()
    assert.equal(await stateOf(lab, await deploy(snapshot)), 'Running')
    assert.equal((await seedsOf(snapshot)).length, 1)
  })
})
