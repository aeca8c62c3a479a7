// Machines made from VM snapshots, on a simulated hypervisor with real contents: from any node of the tree, in both modes and clone
// types, many at once; what they inherit, and what relation is left afterwards: none.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId, type JobId } from '@ramet/core/ids.ts'
import { volumesOf } from '../store/volumes.ts'
import { cloneTypeOf } from '../store/vms.ts'
import { call, callJob, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { ended, type Lab, quiet, simulatedLab, stateOf } from '../testing/lab.ts'
import { found, remove, take } from '../testing/vm-snapshots.ts'
import { aMachine, done } from '../testing/volumes.ts'
import { stopVm } from './stop-vm.ts'
import { snapshotDeployments } from '../testing/snapshot-deployments.ts'

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

  const {
    row,
    rootOf,
    parentOf,
    layerOf,
    seedsOf,
    setMode,
    offeringOf,
    deploy,
    begin,
    copies,
    destroy,
    contents,
    aTree,
    aSnapshot,
    slowly,
    stepsOf,
    aSnapshotOf,
    refused,
  } = snapshotDeployments(() => lab)

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
})
