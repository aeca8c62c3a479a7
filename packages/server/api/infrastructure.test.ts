// Zones, pods, clusters and primary storage, as an administrator adds, changes and removes them.
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import { deployVm } from '../jobs/deploy-vm.ts'
import { expungeVm } from '../jobs/expunge-vm.ts'
import { call, callJob, type Given, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { aDeployment, aTemplate, type Lab, quiet, run, simulatedLab, stateOf } from '../testing/lab.ts'
import type { Answer } from './command.ts'

const dns = { dns1: '192.0.2.1', internaldns1: '192.0.2.2' }

describe('infrastructure', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab()
  })
  afterEach(() => lab.world.missingPools.clear())
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const one = async (name: string, given: Given) =>
    Object.values(await call(lab, name, given))[0] as Answer & { id: string }
  const place = async () => {
    const [cluster] = await listed(lab, 'listClusters', { name: 'cluster1' })
    return {
      zoneid: String(cluster?.['zoneid']),
      podid: String(cluster?.['podid']),
      clusterid: String(cluster?.['id']),
    }
  }
  const aPool = async (name: string, set: Given = {}) =>
    one('createStoragePool', { ...(await place()), name, url: `file:///srv/${name}`, ...set })
  const stateOfPool = async (id: string) => (await listed(lab, 'listStoragePools', { id }))[0]?.['state']

  test('a zone, a pod and a cluster come, change and go, from the inside out', async () => {
    const zone = await one('createZone', { name: 'far', networktype: 'Advanced', ...dns })
    const pod = await one('createPod', { zoneid: zone.id, name: 'far-pod', startip: '10.0.0.2', endip: '10.0.0.9' })
    const of = { zoneid: zone.id, podid: pod.id, clustertype: 'CloudManaged', hypervisor: 'Simulator' }
    await call(lab, 'addCluster', { ...of, clustername: 'far-cluster' })
    const [cluster] = await listed(lab, 'listClusters', { zoneid: zone.id })
    assert.deepEqual(pod['startip'], ['10.0.0.2'])
    assert.equal((await listed(lab, 'listNetworks', { zoneid: zone.id })).length, 1)
    await assert.rejects(call(lab, 'deleteZone', { id: zone.id }), { code: 'still-in-use', message: /1 pods/ })
    await assert.rejects(call(lab, 'deletePod', { id: pod.id }), { code: 'still-in-use', message: /1 clusters/ })
    const changed = await one('updateCluster', {
      id: String(cluster?.['id']),
      clustername: 'farther',
      allocationstate: 'disabled',
    })
    assert.deepEqual([changed['name'], changed['allocationstate']], ['farther', 'Disabled'])
    assert.equal((await one('updatePod', { id: pod.id, endip: '' }))['endip'], undefined)
    assert.equal((await one('updateZone', { id: zone.id, dns2: '192.0.2.3' }))['dns2'], '192.0.2.3')
    await call(lab, 'deleteCluster', { id: changed.id })
    await call(lab, 'deletePod', { id: pod.id })
    await call(lab, 'deleteZone', { id: zone.id })
    assert.deepEqual(await listed(lab, 'listZones', { id: zone.id }), [])
    assert.deepEqual(await listed(lab, 'listNetworks', { zoneid: zone.id }), [])
    await assert.rejects(call(lab, 'updateZone', { id: zone.id, name: 'x' }), { code: 'unknown-id' })
    const events = await listed(lab, 'listEvents', { keyword: 'zone far' })
    assert.deepEqual(events.map(each => String(each['type'])).toSorted(), ['ZONE.CREATE', 'ZONE.DELETE', 'ZONE.EDIT'])
  })

  test('names are given once, addresses are addresses, parents exist', async () => {
    await assert.rejects(call(lab, 'createZone', { name: 'zone1', networktype: 'Basic', ...dns }), {
      code: 'name-taken',
      message: /name.*zone1/,
    })
    await assert.rejects(
      call(lab, 'createZone', { name: 'z', networktype: 'Advanced', ...dns, dns1: '300.1.1.1' }),
      /dns1 must be an IP/,
    )
    await assert.rejects(
      call(lab, 'createZone', { name: ' ', networktype: 'Advanced', ...dns }),
      /name must not be empty/,
    )
    await assert.rejects(call(lab, 'createPod', { zoneid: newId(), name: 'p' }), /zoneid: there is nothing/)
    const { zoneid } = await place()
    await assert.rejects(
      call(lab, 'addCluster', {
        zoneid,
        podid: newId(),
        clustername: 'c',
        clustertype: 'CloudManaged',
        hypervisor: 'Simulator',
      }),
      /podid/,
    )
    assert.equal((await listed(lab, 'listZones')).length, 1)
  })

  test('a storage pool is a folder of its own', async () => {
    const pool = await aPool('plain', { tags: 'fast, mirrored' })
    assert.deepEqual(
      [pool['state'], pool['path'], pool['tags'], pool['type']],
      ['Up', '/srv/plain', 'fast,mirrored', 'Filesystem'],
    )
    for (const url of [
      'nfs://host/x',
      'file://other/x',
      'file:///',
      'file:///srv/../etc',
      'file:///a//b',
      'file:///a,b',
      '/srv/x',
    ])
      await assert.rejects(aPool('bad', { url }), { kind: 'invalid', message: /Parameter url/ }, url)
    for (const url of ['file:///srv/plain', 'file:///srv', 'file:///srv/plain/inside'])
      await assert.rejects(aPool('bad', { url }), { code: 'folder-overlaps' }, url)
    await assert.rejects(aPool('plain', { url: 'file:///srv/else' }), { code: 'name-taken' })
    await assert.rejects(aPool('bad', { tags: 'a b' }), /tags/)
    lab.world.faults.set('pools.prepare', 1)
    await assert.rejects(aPool('bad'), { code: 'simulated-fault' })
    assert.equal((await listed(lab, 'listStoragePools', { name: 'bad' })).length, 0)
  })

  test('a Disabled pool takes no new disks, and its machines start', async () => {
    const { vm } = await aMachineOn('dis')
    const [pool] = await listed(lab, 'listStoragePools', { name: 'dis' })
    const id = String(pool?.['id'])
    await call(lab, 'updateStoragePool', { id, enabled: false })
    const refused = await aTagged('dis')
    assert.match(String(refused.problem?.message), /has the tags dis/)
    await callJob(lab, 'stopVirtualMachine', { id: vm, forced: true })
    await callJob(lab, 'startVirtualMachine', { id: vm })
    assert.equal(await stateOf(lab, vm), 'Running')
    assert.equal((await one('updateStoragePool', { id, enabled: true }))['state'], 'Up')
  })

  test('maintenance stops the machines of a pool, refuses work there, and ends', async () => {
    const { vm } = await aMachineOn('maint')
    const id = String((await listed(lab, 'listStoragePools', { name: 'maint' }))[0]?.['id'])
    const done = await callJob(lab, 'enableStorageMaintenance', { id })
    assert.equal((done['storagepool'] as Answer)['state'], 'Maintenance')
    assert.equal(await stateOf(lab, vm), 'Stopped')
    assert.match(
      String((await callJob(lab, 'startVirtualMachine', { id: vm }))['errortext']),
      /no storage pool that is Up/,
    )
    await assert.rejects(call(lab, 'updateStoragePool', { id, enabled: true }), { code: 'wrong-pool-state' })
    assert.match(String((await callJob(lab, 'enableStorageMaintenance', { id }))['errortext']), /is Maintenance/)
    await callJob(lab, 'cancelStorageMaintenance', { id })
    assert.equal(await stateOfPool(id), 'Up')
    await callJob(lab, 'startVirtualMachine', { id: vm })
    assert.equal(await stateOf(lab, vm), 'Running')
  })

  test('a pool goes when nothing lives there, and takes unused copies of templates along', async () => {
    const { vm, template } = await aMachineOn('gone')
    const id = String((await listed(lab, 'listStoragePools', { name: 'gone' }))[0]?.['id'])
    await assert.rejects(call(lab, 'deleteStoragePool', { id }), { code: 'wrong-pool-state' })
    await callJob(lab, 'enableStorageMaintenance', { id })
    await assert.rejects(call(lab, 'deleteStoragePool', { id }), { kind: 'in-use', message: /1 volumes/ })
    await run(lab, expungeVm, { vm, evenRunning: true })
    await quiet(lab)
    assert.ok(
      [...lab.world.layers.values()].some(({ pool }) => pool === id),
      'the copy of the template is there',
    )
    await call(lab, 'deleteStoragePool', { id })
    assert.ok(![...lab.world.layers.values()].some(({ pool }) => pool === id))
    assert.deepEqual(await listed(lab, 'listStoragePools', { id }), [])
    assert.equal((await listed(lab, 'listTemplates', { templatefilter: 'all', id: template }))[0]?.['isready'], true)
    await assert.rejects(call(lab, 'deleteStoragePool', { id }), { code: 'unknown-id' })
  })

  test('a pool whose folder is gone is Down and refuses work until it is back', async () => {
    const { vm, template } = await aMachineOn('away')
    const id = String((await listed(lab, 'listStoragePools', { name: 'away' }))[0]?.['id'])
    await callJob(lab, 'stopVirtualMachine', { id: vm, forced: true })
    lab.world.missingPools.add('/srv/away')
    await lab.restart() // a server starts all the same
    assert.equal(await stateOfPool(id), 'Down')
    assert.equal((await listed(lab, 'listStoragePools', { status: 'down' })).length, 1)
    assert.match(
      String((await callJob(lab, 'startVirtualMachine', { id: vm }))['errortext']),
      /no storage pool that is Up/,
    )
    const deployed = await run(lab, deployVm, await aDeployment(lab, template))
    assert.equal(deployed.state, 'done', deployed.problem?.message)
    lab.world.missingPools.clear()
    await lab.restart()
    assert.equal(await stateOfPool(id), 'Up')
  })

  /** A running machine whose offering asks for a pool with the tag, and that pool. */
  async function aMachineOn(name: string) {
    await aPool(name, { tags: name })
    const { job, ...made } = await aTagged(name)
    assert.equal(job, 'done')
    return made
  }

  async function aTagged(tag: string) {
    const template = await aTemplate(lab)
    const deployment = await aDeployment(lab, template)
    const { id: offering } = await one('createServiceOffering', {
      name: tag,
      displaytext: tag,
      cpunumber: 1,
      memory: 256,
      tags: tag,
    })
    await lab.app.db
      .updateTable('service_offering')
      .set({ sort_key: 9 })
      .where('id', '=', offering as never)
      .execute()
    await lab.app.db
      .updateTable('vm')
      .set({ service_offering_id: offering as never })
      .where('id', '=', deployment.vm)
      .execute()
    const { state, problem } = await run(lab, deployVm, deployment)
    return { vm: deployment.vm, template, job: state, problem }
  }
})

describe('capacity', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab()
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const capacityOf = async (type: number, given: Given = {}) =>
    (await listed(lab, 'listCapacity', { type, ...given }))[0]
  const deployed = async () => (await run(lab, deployVm, await aDeployment(lab, await aTemplate(lab)))).problem?.message

  test('is told by type, as a whole and for one cluster, and follows what machines take', async () => {
    const [cluster] = await listed(lab, 'listClusters')
    const earlier = await capacityOf(0)
    assert.equal(await deployed(), undefined)
    const now = await capacityOf(0, { clusterid: String(cluster?.['id']) })
    assert.equal(Number(now?.['capacityused']) - Number(earlier?.['capacityused']), 256 * 2 ** 20)
    assert.deepEqual([earlier?.['clusterid'], now?.['clusterid']], [undefined, cluster?.['id']])
    assert.equal(typeof now?.['percentused'], 'string')
    const types = (await listed(lab, 'listCapacity', { sortby: 'usage' })).map(each => Number(each['type']))
    assert.deepEqual(
      types.toSorted((a, b) => a - b),
      [0, 1, 2, 3, 6, 90],
    )
  })

  test('lists have twins for clients that ask for metrics', async () => {
    for (const name of [
      'listZones',
      'listClusters',
      'listHosts',
      'listStoragePools',
      'listVirtualMachines',
      'listVolumes',
    ])
      assert.deepEqual(await listed(lab, `${name}Metrics`), await listed(lab, name), name)
  })

  test('a hypervisor is let run so many machines and no more', async () => {
    const [capabilities] = await listed(lab, 'listHypervisorCapabilities')
    const id = String(capabilities?.['id'])
    await call(lab, 'updateHypervisorCapabilities', { id, maxguestslimit: 1 })
    assert.match((await deployed()) ?? '', /runs as many machines as its hypervisor is let/)
    const changed = await call(lab, 'updateHypervisorCapabilities', {
      hypervisor: String(capabilities?.['hypervisor']),
      maxguestslimit: 2,
    })
    assert.equal((changed['hypervisorCapabilities'] as Answer)['maxguestslimit'], 2)
    assert.equal(await deployed(), undefined)
    await assert.rejects(call(lab, 'updateHypervisorCapabilities', {}), /id is missing/)
    await assert.rejects(call(lab, 'updateHypervisorCapabilities', { id: newId() }), { code: 'unknown-id' })
  })

  test('a machine has as many data volumes as its hypervisor is let have', async () => {
    const [capabilities] = await listed(lab, 'listHypervisorCapabilities')
    const id = String(capabilities?.['id'])
    const [disk] = await listed(lab, 'listDiskOfferings', { name: 'Small' })
    const [vm] = await listed(lab, 'listVirtualMachines', { state: 'Running' })
    const given = { zoneid: String(vm?.['zoneid']), diskofferingid: String(disk?.['id']), name: 'data' }
    const volume = (await callJob(lab, 'createVolume', given))['volume'] as Answer
    const attach = { id: String(volume['id']), virtualmachineid: String(vm?.['id']) }
    await call(lab, 'updateHypervisorCapabilities', { id, maxdatavolumeslimit: 0 })
    assert.match(String((await callJob(lab, 'attachVolume', attach))['errortext']), /has 0 data volumes/)
    await call(lab, 'updateHypervisorCapabilities', { id, maxdatavolumeslimit: 1 })
    assert.equal(((await callJob(lab, 'attachVolume', attach))['volume'] as Answer)['deviceid'], 1)
  })
})
