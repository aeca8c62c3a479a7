// Machines made from VM snapshots, on a simulated hypervisor with real contents: from any node of the tree, in both modes and clone
// types, many at once; what they inherit and what the call chooses; what refuses, what fails, and what is left afterwards.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId, type JobId, type LayerId, type StoragePoolId, type VmId, type VmSnapshotId } from '@ramet/core/ids.ts'
import { sql } from 'kysely'
import type { Answer } from '../api/command.ts'
import { contentOf, writeDisk } from '../drivers/simulated/snapshots.ts'
import { inTransaction } from '../store/database.ts'
import { insertNic } from '../store/nics.ts'
import { volumesOf } from '../store/volumes.ts'
import { cloneTypeOf, vmById } from '../store/vms.ts'
import { call, callJob, type Given, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { eventually } from '../testing/eventually.ts'
import { aDomain, anAccount, anIso, ended, type Lab, quiet, simulatedLab, stateOf } from '../testing/lab.ts'
import { callerOf } from '../testing/realm.ts'
import { aTwoDiskMachine, found, remove, revert, take, write } from '../testing/vm-snapshots.ts'
import { aMachine, aRemotePool, aVolume, done } from '../testing/volumes.ts'
import { attachVolume } from './attach-volume.ts'
import { stopVm } from './stop-vm.ts'

const modes = ['seed', 'direct'] as const
const types = ['linked', 'full'] as const

describe('a machine from a VM snapshot', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab({ hosts: 2 })
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const row = async (vm: VmId) => {
    const machine = await vmById(lab.app.db, vm)
    assert.ok(machine)
    return machine
  }
  const rootOf = async (vm: VmId) => {
    const [root] = await volumesOf(lab.app.db, vm)
    assert.ok(root?.layer_id)
    return { ...root, layer_id: root.layer_id }
  }
  const parentOf = async (layer: LayerId) =>
    (await lab.app.db.selectFrom('layer').select('parent_id').where('id', '=', layer).executeTakeFirstOrThrow())
      .parent_id
  const layerOf = async (snapshot: VmSnapshotId) =>
    (
      await lab.app.db
        .selectFrom('vm_snapshot_disk')
        .select('layer_id')
        .where('snapshot_id', '=', snapshot)
        .where('device_id', '=', 0)
        .executeTakeFirstOrThrow()
    ).layer_id
  const seedsOf = (snapshot: VmSnapshotId) =>
    lab.app.db.selectFrom('vmsnapshot_spool_ref').selectAll().where('vm_snapshot_id', '=', snapshot).execute()
  const setMode = (value: string, pool?: StoragePoolId) =>
    call(lab, 'updateConfiguration', { name: 'vmsnapshot.deploy.mode', value, ...(pool && { storageid: pool }) })
  const offeringOf = async (name: string) =>
    (await lab.app.db.selectFrom('service_offering').select('id').where('name', '=', name).executeTakeFirstOrThrow()).id

  async function deploy(vmsnapshotid: VmSnapshotId, given: Given = {}): Promise<VmId> {
    const { virtualmachine, errortext } = await callJob(lab, 'deployVirtualMachine', { vmsnapshotid, ...given })
    assert.ok(virtualmachine, String(errortext))
    return (virtualmachine as { id: VmId }).id
  }
  /** Begins one; answers the machine and the job. */
  async function begin(vmsnapshotid: VmSnapshotId, given: Given = {}): Promise<{ vm: VmId; job: JobId }> {
    const { id, jobid } = await call(lab, 'deployVirtualMachine', { vmsnapshotid, ...given })
    return { vm: id as VmId, job: jobid as JobId }
  }
  const copies = () => lab.world.calls.filter(name => name === 'layers.copy').length
  const destroy = (id: VmId) => callJob(lab, 'destroyVirtualMachine', { id, expunge: true })
  const contents = async (vm: VmId) => contentOf(lab.world, (await rootOf(vm)).layer_id)[0]

  /** A-(B, C), the machine running on C. */
  async function aTree() {
    const vm = await aTwoDiskMachine(lab)
    write(lab, vm, 'a')
    const A = await take(lab, vm, 'A', { snapshotmemory: true })
    write(lab, vm, 'b')
    const B = await take(lab, vm, 'B')
    await revert(lab, A)
    write(lab, vm, 'c')
    const C = await take(lab, vm, 'C')
    write(lab, vm, 'later')
    return { vm, A, B, C }
  }
  /** A machine with one snapshot. */
  async function aSnapshot() {
    const { vm } = await aMachine(lab, 'Running')
    const snapshot = await take(lab, vm, 'one')
    return { vm, snapshot }
  }
  async function slowly<T>(name: string, ms: number, act: () => Promise<T>): Promise<T> {
    lab.world.delays.set(name, ms)
    return act().finally(() => lab.world.delays.delete(name))
  }

  for (const mode of modes)
    for (const type of types)
      test(`has the disk of any node of the tree, and no other: ${mode}, ${type}`, async () => {
        await setMode(mode)
        const { vm: source, ...nodes } = await aTree()
        for (const [name, snapshot] of Object.entries(nodes)) {
          const vm = await deploy(snapshot, { clonetype: type })
          assert.equal(await contents(vm), name.toLowerCase())
          assert.equal((await volumesOf(lab.app.db, vm)).length, 1, 'the root disk alone')
          assert.equal(await stateOf(lab, vm), 'Running')
          assert.equal(lab.world.machines.get(vm)?.memory ?? '', '', 'memory is not taken along')
          assert.equal(await cloneTypeOf(lab.app.db, vm), type)
          const [parent, [seed, ...others]] = [await parentOf((await rootOf(vm)).layer_id), await seedsOf(snapshot)]
          assert.deepEqual(others, [])
          if (type === 'full') assert.equal(parent, null)
          else assert.equal(parent, mode === 'seed' ? seed?.id : await layerOf(snapshot))
          assert.equal(seed === undefined, mode === 'direct' && type === 'linked')
        }
        assert.deepEqual(await found(lab, source), ['later', 'later'])
        await setMode('seed')
      })

  test('the mode of its storage goes before the global one', async () => {
    const { snapshot } = await aSnapshot()
    const { pool_id } = await lab.app.db
      .selectFrom('layer')
      .select('pool_id')
      .where('id', '=', await layerOf(snapshot))
      .executeTakeFirstOrThrow()
    await setMode('direct', pool_id)
    await deploy(snapshot)
    assert.deepEqual(await seedsOf(snapshot), [])
    await call(lab, 'resetConfiguration', { name: 'vmsnapshot.deploy.mode', storageid: pool_id })
    await assert.rejects(setMode('sometimes'), /one of seed, direct/)
  })

  test('the first makes the seed, prepareTemplate makes it ahead, and the others make none', async () => {
    const { vm: source, snapshot } = await aSnapshot()
    const [earlier, { template_id }] = [copies(), await row(source)]
    const [prepared] = await listed(lab, 'prepareTemplate', { vmsnapshotid: snapshot })
    assert.equal(prepared?.['id'], template_id)
    const { jobid } = prepared as { jobid: JobId }
    assert.equal((await ended(lab, jobid)).state, 'done')
    const [again] = await listed(lab, 'prepareTemplate', { vmsnapshotid: snapshot })
    assert.equal(again?.['jobid'], undefined)
    for (const name of ['first', 'second']) await deploy(snapshot, { name: `seeded-${name}` })
    assert.equal(copies(), earlier + 1)
    const [shown] = await listed(lab, 'listVMSnapshot', { vmsnapshotid: snapshot })
    assert.equal(shown?.['seedstate'], 'Ready')
    const [seed] = await seedsOf(snapshot)
    assert.deepEqual(Object.keys(seed ?? {}).toSorted(), [
      'created',
      'id',
      'install_path',
      'pool_id',
      'state',
      'vm_snapshot_id',
    ])
  })

  test('twenty at once share one seed, and none fails', async () => {
    const { snapshot } = await aSnapshot()
    const earlier = copies()
    await slowly('layers.copy', 300, async () => {
      const begun = await Promise.all(Array.from({ length: 20 }, () => begin(snapshot)))
      const jobs = await Promise.all(begun.map(({ job }) => ended(lab, job)))
      assert.deepEqual(
        jobs.filter(({ state }) => state !== 'done').map(({ problem }) => problem?.message),
        [],
      )
    })
    assert.equal(copies(), earlier + 1)
  })

  test('inherits template, offering and sizes, but neither networks nor data disks nor memory', async () => {
    const { vm: source, B } = await aTree()
    const vm = await deploy(B)
    const [was, is] = [await row(source), await row(vm)]
    for (const name of ['template_id', 'service_offering_id', 'cpus', 'cpu_mhz', 'memory_mib', 'zone_id'] as const)
      assert.equal(is[name], was[name], name)
    assert.notEqual(is.generation_id, was.generation_id)
    const nics = await lab.app.db.selectFrom('nic').selectAll().where('vm_id', 'in', [source, vm]).execute()
    assert.equal(new Set(nics.map(({ mac }) => mac)).size, nics.length)
    const bare = await deploy(B, {
      networkids: nics[0]?.network_id ?? '',
      serviceofferingid: await offeringOf('Small Instance'),
    })
    assert.deepEqual(
      [(await row(bare)).memory_mib, (await rootOf(bare)).service_offering_id],
      [512, await offeringOf('Small Instance')],
    )
  })

  test('inherits the sizes that a custom offering left open, and takes those that the call says', async () => {
    const { serviceoffering } = await call(lab, 'createServiceOffering', {
      name: newId(),
      displaytext: 'custom',
      customized: true,
    })
    const custom = (serviceoffering as { id: string }).id
    const { vm } = await aMachine(lab, 'Stopped')
    const sizes = { 'details[0].cpuNumber': 3, 'details[0].cpuSpeed': 700, 'details[0].memory': 333 }
    const scaled = await callJob(lab, 'scaleVirtualMachine', { id: vm, serviceofferingid: custom, ...sizes })
    assert.equal(scaled['errortext'], undefined, String(scaled['errortext']))
    const snapshot = await take(lab, vm, 'one')
    const inherited = await row(await deploy(snapshot))
    assert.deepEqual([inherited.cpus, inherited.cpu_mhz, inherited.memory_mib], [3, 700, 333])
    const larger = await row(await deploy(snapshot, { serviceofferingid: custom, 'details[0].memory': 400 }))
    assert.deepEqual([larger.cpus, larger.cpu_mhz, larger.memory_mib], [3, 700, 400])
    await refused(
      snapshot,
      { 'details[0].cpuNumber': 2 },
      'invalid',
      /details\[0\]\.cpuNumber asks for 2 CPUs; .* had 3/,
    )
  })

  test('may have a larger root disk and an empty data disk', async () => {
    const { snapshot } = await aSnapshot()
    const [offering] = await listed(lab, 'listDiskOfferings', { name: 'Custom' })
    const vm = await deploy(snapshot, { rootdisksize: 3, diskofferingid: String(offering?.['id']), size: 1 })
    assert.deepEqual(
      (await volumesOf(lab.app.db, vm)).map(({ size_bytes }) => size_bytes / 2 ** 30),
      [3, 1],
    )
    await refused(
      (await aSnapshotOf(vm)).snapshot,
      { rootdisksize: 2 },
      'invalid',
      /rootdisksize is 2 GiB.*needs 3 GiB/,
    )
  })

  /** What deleting it would do with each layer. */
  async function stepsOf(vmsnapshotid: VmSnapshotId): Promise<Record<string, string>> {
    const { plan } = await call(lab, 'deleteVMSnapshot', { vmsnapshotid, dryrun: true })
    const { steps } = plan as { steps: { layer: string; operation: string }[] }
    return Object.fromEntries(steps.map(({ layer, operation }) => [layer, operation]))
  }

  async function aSnapshotOf(vm: VmId) {
    return { vm, snapshot: await take(lab, vm, newId()) }
  }

  test('leaves no relation: the snapshot goes, the source is expunged, and the machine starts and goes on', async () => {
    for (const mode of modes) {
      await setMode(mode)
      const { vm: source, A, B } = await aTree()
      const made = await Promise.all([A, B].map(snapshot => deploy(snapshot, { clonetype: 'linked' })))
      await remove(lab, A)
      const expunged = await destroy(source)
      assert.equal(expunged['errortext'], undefined, String(expunged['errortext']))
      await quiet(lab)
      for (const [index, vm] of made.entries()) {
        await done(lab, stopVm, { vm, forced: true })
        const started = await callJob(lab, 'startVirtualMachine', { id: vm })
        assert.equal(started['errortext'], undefined, String(started['errortext']))
        assert.equal(await contents(vm), ['a', 'b'][index])
        const node = await take(lab, vm, 'again')
        const grandchild = await deploy(node)
        assert.equal(await contents(grandchild), ['a', 'b'][index])
        for (const id of [grandchild, vm]) await destroy(id)
      }
      await quiet(lab)
      const seeds = await lab.app.db
        .selectFrom('vmsnapshot_spool_ref')
        .select('id')
        .where('vm_snapshot_id', 'in', [A, B])
        .execute()
      assert.deepEqual(seeds, [], 'a seed goes with the last machine on it')
    }
    await setMode('seed')
  })

  test('a seed that nothing stands on goes with its snapshot', async () => {
    const { vm, snapshot } = await aSnapshot()
    await destroy(await deploy(snapshot, { clonetype: 'full' }))
    const [seed] = await seedsOf(snapshot)
    assert.ok(seed && lab.world.layers.has(seed.id))
    assert.deepEqual((await stepsOf(snapshot))[seed.id], 'discard')
    await remove(lab, snapshot)
    await quiet(lab)
    assert.ok(!lab.world.layers.has(seed.id))
    assert.deepEqual(await seedsOf(snapshot), [])
    await destroy(vm)
  })

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

  /** A host of another cluster, with a storage of its own. */
  async function aFarHost() {
    const { db } = lab.app
    const pool = await aRemotePool(lab)
    const { cluster_id } = await db
      .selectFrom('storage_pool')
      .select('cluster_id')
      .where('id', '=', pool)
      .executeTakeFirstOrThrow()
    const like = await db.selectFrom('host').selectAll().executeTakeFirstOrThrow()
    const host = newId<'host'>()
    await db
      .insertInto('host')
      .values({ ...like, id: host, name: host, cluster_id })
      .execute()
    return { host, cluster: cluster_id }
  }

  async function outcome(name: string, given: Given): Promise<Answer> {
    try {
      return await callJob(lab, name, given)
    } catch (error) {
      return { errortext: (error as Error).message }
    }
  }

  /** Refused by the call itself, before anything is written down. */
  async function refused(snapshot: VmSnapshotId, given: Given, kind: string, message: RegExp): Promise<void> {
    const count = async () => (await lab.app.db.selectFrom('vm').select('id').execute()).length
    const earlier = await count()
    await assert.rejects(call(lab, 'deployVirtualMachine', { vmsnapshotid: snapshot, ...given }), error => {
      const { kind: is, message: text } = error as { kind: string; message: string }
      assert.match(text, message)
      assert.equal(is, kind, text)
      return true
    })
    assert.equal(await count(), earlier)
  }

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

  /** A second storage of the first one's hosts, on which nothing is placed by itself. */
  async function aPoolBeside(): Promise<StoragePoolId> {
    const like = await lab.app.db.selectFrom('storage_pool').selectAll().orderBy('created').executeTakeFirstOrThrow()
    const id = newId<'storage-pool'>()
    await lab.app.db
      .insertInto('storage_pool')
      .values({ ...like, id, name: id, path: `/${id}`, total_bytes: 2 ** 36, free_bytes: 2 ** 36, created: new Date() })
      .execute()
    return id
  }

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
