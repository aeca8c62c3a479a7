// Clusters of a vCenter beside the server's own: added, followed, deployed to, and let go of. The vCenters are simulated.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId, type ClusterId, type TemplateId, type VmId } from '@ramet/core/ids.ts'
import { withSnapshot } from '../drivers/simulated/forest.ts'
import { keptAs, put } from '../drivers/simulated/kept.ts'
import { thumbprintOf } from '../drivers/simulated/vcenter.ts'
import { change, switchAside } from '../drivers/simulated/world.ts'
import { inTransaction } from '../store/database.ts'
import { applyNetworks } from '../store/foreign-networks.ts'
import { call, callJob, type Given, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { eventually } from '../testing/eventually.ts'
import { aTemplate, type Lab, quiet, simulatedLab, stateOf } from '../testing/lab.ts'
import { aConnection, anAdopted, aVmwareCluster, deployed } from '../testing/vcenter.ts'
import { customizeOf } from './customize.ts'
import type { Answer } from '../api/command.ts'

describe('clusters of a vCenter', () => {
  let lab: Lab
  let cluster: ClusterId
  let url: string
  let template: TemplateId
  before(async () => {
    lab = await simulatedLab({ hosts: 2 })
    ;({ id: cluster, url } = await aVmwareCluster(lab))
    template = await anAdopted(lab, cluster)
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const vcenter = () => `${new URL(url).host}${new URL(url).pathname}`
  const kept = (vm: VmId) => keptAs(lab.world, vcenter(), vm)
  const rowOf = (vm: VmId) => lab.app.db.selectFrom('vm').selectAll().where('id', '=', vm).executeTakeFirstOrThrow()
  const rootOf = async (id: VmId) => (await listed(lab, 'listVolumes', { virtualmachineid: id }))[0] as Answer
  const write = (vm: VmId, text: string) => {
    const machine = kept(vm)
    assert.ok(machine)
    const [root, ...data] = machine.disks
    assert.ok(root)
    const disks = [{ ...root, blocks: { ...root.blocks, 1: text } }, ...data]
    lab.world.kept.set(machine.foreign, { ...machine, disks, memory: text })
  }
  const depthOf = (vm: VmId) => kept(vm)?.disks[0]?.files.length ?? 0
  const written = (vm: VmId) => kept(vm)?.disks[0]?.blocks[1]
  const snapshot = async (vm: VmId, set = {}) => {
    const answer = await callJob(lab, 'createVMSnapshot', { virtualmachineid: vm, ...set })
    return (answer['vmsnapshot'] as Answer & { id: string }).id
  }

  test('a cluster comes with its hosts and datastores, is shown with how it is reached, and never with the password', async () => {
    const [shown] = await listed(lab, 'listClusters', { id: cluster })
    assert.equal(shown?.['clustertype'], 'ExternalManaged')
    assert.equal(shown?.['hypervisortype'], 'VMware')
    assert.equal(shown?.['guestvswitchname'], 'VM Network')
    assert.deepEqual(await listed(lab, 'listClusters', { clustertype: 'ExternalManaged' }), [shown])
    const hosts = await listed(lab, 'listHosts', { clusterid: cluster })
    assert.deepEqual(
      hosts.map(host => host['state']),
      ['Up', 'Up'],
    )
    const pools = await listed(lab, 'listStoragePools', { clusterid: cluster })
    assert.deepEqual(
      pools.map(pool => pool['type']),
      ['VMFS', 'VMFS'],
    )
    const { rows } = await lab.app.db.executeQuery<{ text: string }>(
      (await import('kysely')).sql`select row_to_json(c)::text as text from cluster_connection c
        union all select row_to_json(e)::text from event e union all select row_to_json(j)::text from job j`.compile(
        lab.app.db,
      ),
    )
    assert.ok(rows.length > 1)
    assert.ok(
      rows.every(({ text }) => !text.includes('of-vcenter')),
      'the password is nowhere in the open',
    )
    assert.ok(!JSON.stringify(shown).includes('of-vcenter'))
  })

  test('a wrong password, an unknown certificate and a bad address are refused, and nothing is added', async () => {
    const clusters = await listed(lab, 'listClusters')
    const good = await aConnection(lab)
    const { thumbprint, ...unknown } = good
    await assert.rejects(call(lab, 'addCluster', { ...good, password: 'wrong' }), { code: 'vsphere-login' })
    await assert.rejects(call(lab, 'addCluster', unknown), (error: Error) => error.message.includes(thumbprint))
    await assert.rejects(call(lab, 'addCluster', { ...good, url: 'https://vc.test/' }), /DATACENTER\/CLUSTER/)
    await assert.rejects(call(lab, 'addCluster', { ...good, url: 'https://u:p@vc.test/DC/C' }), /sealed/)
    await assert.rejects(call(lab, 'addCluster', { ...good, thumbprint: 'AB' }), /64 hex/)
    await assert.rejects(call(lab, 'addCluster', { ...good, guestvswitchname: 'nowhere' }), /VM Network/)
    await assert.rejects(call(lab, 'addCluster', { ...good, clustertype: 'CloudManaged' }), /ExternalManaged/)
    const again = { ...good, url, thumbprint: thumbprintOf(url) }
    await assert.rejects(call(lab, 'addCluster', again), { code: 'host-elsewhere' })
    assert.deepEqual(await listed(lab, 'listClusters'), clusters)
  })

  test('what is in the inventory is listed until it is a template, and taken by its path', async () => {
    const found = await listed(lab, 'listUnmanagedInstances', { clusterid: cluster })
    assert.deepEqual(
      found.map(each => each['path']),
      ['/DC/vm/wiki'],
    )
    const given = { name: 'no', format: 'OVA', hypervisor: 'VMware', zoneid: '-1', zoneids: '-1' }
    const { zoneid: _, ...asked } = given
    await assert.rejects(call(lab, 'registerTemplate', { ...asked, url: 'inventory:/DC/vm/none' }), /names nothing/)
    await assert.rejects(call(lab, 'registerTemplate', { ...asked, url: 'inventory:/DC/vm/debian-12' }), /already/)
    await assert.rejects(call(lab, 'registerTemplate', { ...asked, url: 'http://127.0.0.1/x.ova' }), /inventory:PATH/)
  })

  test('machines go to the cluster of their template: full and linked clones there, others on the own hosts', async () => {
    const [linked, full, own] = await Promise.all([
      deployed(lab, template),
      deployed(lab, template, { clonetype: 'full' }),
      deployed(lab, await aTemplate(lab)),
    ])
    assert.deepEqual([linked['clonetype'], full['clonetype']], ['linked', 'full'])
    assert.deepEqual([linked['hypervisor'], own['hypervisor']], ['VMware', 'Simulator'])
    assert.ok(depthOf(linked.id) > 1)
    assert.equal(depthOf(full.id), 1)
    assert.equal(kept(own.id), undefined)
    assert.deepEqual(kept(linked.id)?.networks, ['VM Network'])
    const { last_host_id } = await rowOf(linked.id)
    const [host] = await listed(lab, 'listHosts', { id: String(last_host_id) })
    assert.equal(host?.['clusterid'], cluster)
    assert.equal((await rootOf(full.id))['size'], 2 ** 31)
  })

  test('networks of the inventory are shared networks; machines there are in those that are asked for, and in no other', async () => {
    const there = await listed(lab, 'listNetworks', { type: 'Shared' })
    const mine = there.filter(network => network['clusterid'] === cluster)
    assert.deepEqual(
      mine.map(({ name, acltype, cidr, canusefordeploy }) => [name, acltype, cidr, canusefordeploy]),
      ['VM Network', 'lab'].map(name => [name, 'Domain', undefined, true]),
    )
    const [plain, other] = mine.map(({ id }) => String(id)) as [string, string]
    const { id, nic } = await deployed(lab, template, { networkids: `${other},${plain}` })
    assert.deepEqual(kept(id)?.networks, ['lab', 'VM Network'])
    const [card] = nic as Answer[]
    assert.deepEqual([card?.['networkname'], card?.['ipaddress'], card?.['gateway']], ['lab', undefined, undefined])
    const count = (await listed(lab, 'listVirtualMachines')).length
    const refused = (set: Given, code: string | RegExp) =>
      assert.rejects(deployed(lab, template, set), code instanceof RegExp ? code : { code })
    const [own] = await listed(lab, 'listNetworks', { name: 'default' })
    await refused({ networkids: String(own?.['id']) }, /networks of its own/)
    await refused({ networkids: newId<'network'>() }, 'unknown-id')
    await refused({ networkids: plain, ipaddress: '10.0.0.9' }, /addresses are given by whoever/)
    await refused({ networkids: Array.from({ length: 11 }, () => plain).join() }, /10 at most/)
    const elsewhere = { networkids: other, templateid: await aTemplate(lab) }
    await refused(elsewhere, /the machine is elsewhere/)
    assert.equal((await listed(lab, 'listVirtualMachines')).length, count)
    await assert.rejects(call(lab, 'deleteNetwork', { id: plain }), { code: 'network-of-inventory' })
    await assert.rejects(call(lab, 'updateNetwork', { id: plain, networkdomain: 'x.test' }), {
      code: 'network-of-inventory',
    })
    await callJob(lab, 'updateNetwork', { id: plain, name: 'for machines' })
    assert.equal((await listed(lab, 'listNetworks', { id: plain }))[0]?.['name'], 'for machines')
    await callJob(lab, 'destroyVirtualMachine', { id, expunge: true })
  })

  test('a network that the inventory has no more takes no machines, and goes with the last NIC in it', async () => {
    const { id: own } = await aVmwareCluster(lab)
    const source = await anAdopted(lab, own)
    const { id } = await deployed(lab, source)
    const told = (networks: readonly string[]) => inTransaction(lab.app.db, tx => applyNetworks(tx, own, networks))
    const shown = async () =>
      (await listed(lab, 'listNetworks', { type: 'Shared' }))
        .filter(network => network['clusterid'] === own)
        .map(network => [network['name'], network['canusefordeploy']])
    await told(['lab'])
    assert.deepEqual(await shown(), [
      ['VM Network', false],
      ['lab', true],
    ])
    await assert.rejects(deployed(lab, source), /networkids.*missing/)
    await told(['VM Network'])
    assert.deepEqual(await shown(), [['VM Network', true]])
    await told([])
    await callJob(lab, 'destroyVirtualMachine', { id, expunge: true })
    await told([])
    assert.deepEqual(await shown(), [])
    await callJob(lab, 'deleteTemplate', { id: source })
    await call(lab, 'deleteCluster', { id: own })
  })

  test('start, stop, reboot, scale and migration are the hypervisor’s; each of its tasks is an event with its id', async () => {
    const { id } = await deployed(lab, template)
    await callJob(lab, 'rebootVirtualMachine', { id })
    const { host_id } = await rowOf(id)
    const others = await listed(lab, 'findHostsForMigration', { virtualmachineid: id })
    const target = others.find(host => host['id'] !== host_id)
    await callJob(lab, 'migrateVirtualMachine', { virtualmachineid: id, hostid: String(target?.['id']) })
    assert.equal((await rowOf(id)).host_id, target?.['id'])
    await callJob(lab, 'stopVirtualMachine', { id })
    assert.equal(kept(id)?.power, 'off')
    const large = (await listed(lab, 'listServiceOfferings', { name: 'Medium Instance' }))[0]
    await callJob(lab, 'scaleVirtualMachine', { id, serviceofferingid: String(large?.['id']) })
    await callJob(lab, 'startVirtualMachine', { id })
    assert.equal(kept(id)?.memoryMib, 1024)
    const tasks = await listed(lab, 'listEvents', { type: 'VM.TASK', pagesize: 500, page: 1 })
    assert.ok(
      tasks.some(({ description }) => /CloneVM_Task of virtual machine .*task-\d+: success/.test(String(description))),
    )
  })

  test('data volumes come, grow and go while a machine runs, and stay when it is destroyed or expunged', async () => {
    const { id } = await deployed(lab, template)
    const [offering] = (await listed(lab, 'listDiskOfferings')).filter(each => each['iscustomized'])
    const { zoneid } = (await listed(lab, 'listVirtualMachines', { id }))[0] as Answer
    const made = await callJob(lab, 'createVolume', {
      name: 'data',
      size: 1,
      zoneid: String(zoneid),
      diskofferingid: String(offering?.['id']),
    })
    const volume = (made['volume'] as Answer & { id: string }).id
    const attach = (vm: VmId) => callJob(lab, 'attachVolume', { id: volume, virtualmachineid: vm })
    const gone = async () =>
      ![...lab.world.kept.values()].some(({ as }) => as && 'volume' in as && as.volume === volume)
    assert.equal((await attach(id))['errortext'], undefined)
    await callJob(lab, 'resizeVolume', { id: volume, size: 2 })
    assert.deepEqual(
      kept(id)?.disks.map(disk => [disk.deviceId, disk.virtualBytes]),
      [
        [0, 2 ** 31],
        [1, 2 ** 31],
      ],
    )
    const [{ id: root }] = (await listed(lab, 'listVolumes', { virtualmachineid: id, type: 'ROOT' })) as [
      { id: string },
    ]
    for (const [name, given, reason] of [
      ['resizeVolume', { id: volume, size: 1, shrinkok: true }, /would have/],
      ['resizeVolume', { id: root, size: 64 }, /linked clone/],
      ['detachVolume', { id: root }, /part of its machine/],
    ] as const)
      assert.match(String((await callJob(lab, name, given))['errortext']), reason, name)
    const taken = await snapshot(id)
    assert.match(String((await callJob(lab, 'detachVolume', { id: volume }))['errortext']), /VM snapshot/)
    assert.match(String((await callJob(lab, 'destroyVirtualMachine', { id }))['errortext']), /VM snapshot/)
    await callJob(lab, 'deleteVMSnapshot', { vmsnapshotid: taken })
    await callJob(lab, 'destroyVirtualMachine', { id })
    assert.deepEqual(
      kept(id)?.disks.map(disk => disk.deviceId),
      [0],
    )
    const next = await deployed(lab, template)
    assert.equal((await attach(next.id))['errortext'], undefined)
    await callJob(lab, 'destroyVirtualMachine', { id: next.id, expunge: true })
    assert.equal(await gone(), false)
    assert.match(String((await callJob(lab, 'resizeVolume', { id: volume, size: 4 }))['errortext']), /attach it first/)
    await call(lab, 'deleteVolume', { id: volume })
    await eventually('its disk is gone', gone)
    await callJob(lab, 'expungeVirtualMachine', { id })
  })

  test('cards come and go while a machine runs', async () => {
    const { id } = await deployed(lab, template)
    const networks = await listed(lab, 'listNetworks', { type: 'Shared' })
    const other = networks.find(each => each['clusterid'] === cluster && each['name'] === 'lab')
    const added = await callJob(lab, 'addNicToVirtualMachine', {
      virtualmachineid: id,
      networkid: String(other?.['id']),
    })
    const [first, second] = (added['virtualmachine'] as Answer)['nic'] as Answer[]
    assert.deepEqual(kept(id)?.networks, ['VM Network', 'lab'])
    const nic = (of: Answer | undefined) => ({ virtualmachineid: id, nicid: String(of?.['id']) })
    await callJob(lab, 'updateDefaultNicForVirtualMachine', nic(second))
    await callJob(lab, 'removeNicFromVirtualMachine', nic(first))
    assert.deepEqual(kept(id)?.networks, ['lab'])
    await callJob(lab, 'destroyVirtualMachine', { id, expunge: true })
  })

  test('a VM snapshot is taken, reverted to with and without memory, and deleted, in a tree', async () => {
    const { id } = await deployed(lab, template)
    write(id, 'one')
    const first = await snapshot(id, { name: 'first' })
    write(id, 'two')
    const second = await snapshot(id, { name: 'second', snapshotmemory: true })
    const [child] = await listed(lab, 'listVMSnapshot', { vmsnapshotid: second })
    assert.deepEqual([child?.['parent'], child?.['type']], [first, 'DiskAndMemory'])
    write(id, 'three')
    await callJob(lab, 'revertToVMSnapshot', { vmsnapshotid: second })
    assert.deepEqual([await stateOf(lab, id), written(id), kept(id)?.memory], ['Running', 'two', 'two'])
    await callJob(lab, 'revertToVMSnapshot', { vmsnapshotid: first })
    assert.deepEqual([await stateOf(lab, id), written(id)], ['Stopped', 'one'])
    await callJob(lab, 'deleteVMSnapshot', { vmsnapshotid: first })
    assert.equal(written(id), 'one')
    assert.deepEqual(
      kept(id)?.snapshots.map(each => [each.id, each.parent]),
      [[second, null]],
    )
    await callJob(lab, 'startVirtualMachine', { id })
    await callJob(lab, 'deleteVMSnapshot', { vmsnapshotid: second })
    assert.deepEqual(kept(id)?.snapshots, [])
    assert.deepEqual(await listed(lab, 'listVMSnapshot', { virtualmachineid: id }), [])
  })

  test('machines are made of a VM snapshot: what they show is of then, linked or full', async () => {
    const source = await deployed(lab, template)
    write(source.id, 'then')
    const vmsnapshotid = await snapshot(source.id)
    write(source.id, 'now')
    const linked = await deployed(lab, template, { vmsnapshotid })
    const full = await deployed(lab, template, { vmsnapshotid, clonetype: 'full' })
    assert.deepEqual([written(linked.id), written(full.id)], ['then', 'then'])
    assert.equal(depthOf(full.id), 1)
  })

  const seeds = () => [...lab.world.kept.values()].filter(each => each.as !== null && 'seed' in each.as)
  const expunge = (id: VmId) => callJob(lab, 'destroyVirtualMachine', { id, expunge: true })

  test('linked clones of a VM snapshot share a seed, made once, which outlives the snapshot and its machine, and goes with the last of them', async () => {
    await quiet(lab)
    const others = seeds().length
    const source = await deployed(lab, template)
    write(source.id, 'then')
    const vmsnapshotid = await snapshot(source.id)
    write(source.id, 'now')
    const clones = await Promise.all([1, 2, 3].map(() => deployed(lab, template, { vmsnapshotid, startvm: false })))
    assert.deepEqual(
      clones.map(({ id }) => [written(id), depthOf(id)]),
      clones.map(() => ['then', 2]),
    )
    assert.equal(seeds().length, others + 1)
    const [shown] = await listed(lab, 'listVMSnapshot', { vmsnapshotid })
    assert.equal(shown?.['seedstate'], 'Ready')
    await callJob(lab, 'deleteVMSnapshot', { vmsnapshotid })
    await expunge(source.id)
    await quiet(lab)
    assert.equal(seeds().length, others + 1)
    const [first, second, third] = clones
    await callJob(lab, 'convertVirtualMachineToFullClone', { virtualmachineid: first!.id })
    await expunge(second!.id)
    await quiet(lab)
    assert.equal(seeds().length, others + 1)
    await expunge(third!.id)
    await quiet(lab)
    assert.equal(seeds().length, others)
    assert.equal(written(first!.id), 'then')
  })

  test('prepareTemplate seeds ahead, on the storage of the VM snapshot alone; a machine right on the VM snapshot needs no seed', async () => {
    const source = await deployed(lab, template)
    const vmsnapshotid = await snapshot(source.id)
    const pools = await listed(lab, 'listStoragePools', { clusterid: cluster })
    const own = (await rootOf(source.id))['storageid']
    const other = pools.find(({ id }) => id !== own)?.['id']
    await assert.rejects(call(lab, 'prepareTemplate', { vmsnapshotid, storageid: String(other) }), /must be/)
    const others = seeds().length
    await call(lab, 'prepareTemplate', { vmsnapshotid })
    await quiet(lab)
    assert.equal(seeds().length, others + 1)
    await deployed(lab, template, { vmsnapshotid })
    assert.equal(seeds().length, others + 1)
    await callJob(lab, 'deleteVMSnapshot', { vmsnapshotid })

    const next = await snapshot(source.id)
    await call(lab, 'updateConfiguration', { name: 'vmsnapshot.deploy.mode', value: 'direct' })
    const direct = await deployed(lab, template, { vmsnapshotid: next })
    await call(lab, 'resetConfiguration', { name: 'vmsnapshot.deploy.mode' })
    assert.equal(depthOf(direct.id), depthOf(source.id))
    assert.match(JSON.stringify(await callJob(lab, 'deleteVMSnapshot', { vmsnapshotid: next })), /stands on its disks/)
    assert.equal((await listed(lab, 'listVMSnapshot', { vmsnapshotid: next }))[0]?.['state'], 'Ready')
    assert.equal(seeds().length, others + 1)
  })

  test('a deployment from a VM snapshot that fails leaves the machine in Error with the reason, snapshot and seed as they were', async () => {
    const source = await deployed(lab, template)
    const vmsnapshotid = await snapshot(source.id)
    lab.world.faults.set('forest.seed', 1)
    await assert.rejects(deployed(lab, template, { vmsnapshotid, name: 'unlucky' }), /refuses forest.seed/)
    const [failed] = await listed(lab, 'listVirtualMachines', { name: 'unlucky' })
    assert.equal(failed?.['state'], 'Error')
    const [shown] = await listed(lab, 'listVMSnapshot', { vmsnapshotid })
    assert.deepEqual([shown?.['state'], shown?.['seedstate']], ['Ready', undefined])
    lab.world.delays.set('forest.spawn', 500)
    const { id, jobid } = await call(lab, 'deployVirtualMachine', { vmsnapshotid })
    await eventually('it is being made', async () => lab.world.calls.at(-1) === 'forest.spawn')
    assert.match(JSON.stringify(await callJob(lab, 'deleteVMSnapshot', { vmsnapshotid })), /are being made/)
    lab.world.delays.delete('forest.spawn')
    await eventually('it is made', async () => (await stateOf(lab, id as VmId)) === 'Running')
    assert.ok(jobid)
  })

  test('the OS type of a template, or of the machine, says how its guest is customized', async () => {
    const { db } = lab.app
    const { id } = await deployed(lab, template)
    const typed = async (table: 'template' | 'vm', of: string, description: string | null) => {
      const [type] = description === null ? [] : await listed(lab, 'listOsTypes', { description })
      assert.ok(description === null || type)
      const os_type_id = (type?.['id'] ?? null) as never
      await db
        .updateTable(table)
        .set({ os_type_id })
        .where('id', '=', of as never)
        .execute()
      return customizeOf(db, id, () => 'secret')
    }
    assert.equal(await typed('template', template, null), null)
    assert.deepEqual(await typed('template', template, 'Debian GNU/Linux 12 (64-bit)'), { os: 'linux', password: null })
    assert.deepEqual(await typed('vm', id, 'Windows 11 (64-bit)'), { os: 'windows', password: 'secret' })
    assert.equal(await typed('vm', id, 'Other (64-bit)'), null)
    await typed('template', template, null)
    await callJob(lab, 'destroyVirtualMachine', { id, expunge: true })
  })

  test('a linked clone becomes a full one', async () => {
    const { id } = await deployed(lab, template)
    const answer = await callJob(lab, 'convertVirtualMachineToFullClone', { virtualmachineid: id })
    assert.equal((answer['virtualmachine'] as Answer)['clonetype'], 'full')
    assert.equal(depthOf(id), 1)
  })

  test('what needs layers is refused with the reason, and leaves the machine as it was', async () => {
    const { id } = await deployed(lab, template)
    const root = await rootOf(id)
    const volume = String(root['id'])
    for (const [name, given] of [['restoreVirtualMachine', { virtualmachineid: id }]] as const) {
      const answer = await callJob(lab, name, given)
      assert.match(JSON.stringify(answer), /keeps its own disks/, name)
    }
    await assert.rejects(call(lab, 'createSnapshot', { volumeid: volume }), { code: 'own-disks' })
    const vmsnapshotid = await snapshot(id)
    const disk = { vmsnapshotid, volumeid: volume, name: 'of-a-disk' }
    for (const name of ['createVolume', 'createSnapshotFromVMSnapshot'])
      await assert.rejects(call(lab, name, disk), { code: 'own-disks' }, name)
    const asked = { vmsnapshotid, name: 'of-a-disk', displaytext: 'of a disk' }
    await assert.rejects(call(lab, 'createTemplate', asked), { code: 'own-disks' })
    await callJob(lab, 'deleteVMSnapshot', { vmsnapshotid })
    assert.equal(await stateOf(lab, id), 'Running')
    assert.deepEqual(await rootOf(id), root)
  })

  test('VM snapshots that somebody else took or removed, and a machine that is gone, are told with the machine and by events', async () => {
    const { id } = await deployed(lab, template)
    const own = await snapshot(id, { name: 'own' })
    const problems = async () =>
      (await listed(lab, 'listVirtualMachines', { id }))[0]?.['inventoryproblems'] as string[]
    assert.deepEqual(await problems(), [])
    const machine = kept(id)
    assert.ok(machine)
    put(lab.world, withSnapshot(machine, null, 'backup', false))
    await eventually('the backup is told', async () => (await problems()).some(each => each.includes('backup')))
    put(lab.world, { ...machine, snapshots: [], current: null })
    await eventually('own is missed', async () => (await problems()).join().includes('own is not in the vCenter'))
    assert.ok(!(await problems()).join().includes('backup'))
    put(lab.world, machine)
    await eventually('all is well', async () => (await problems()).length === 0)
    await callJob(lab, 'deleteVMSnapshot', { vmsnapshotid: own })
    await callJob(lab, 'stopVirtualMachine', { id })
    change(lab.world, { keptGone: machine.foreign })
    await eventually('it is missed', async () => (await problems()).join().includes('not in the vCenter any more'))
    assert.match(JSON.stringify(await callJob(lab, 'startVirtualMachine', { id })), /no longer has/)
    const told = (await listed(lab, 'listEvents', { type: 'VM.INVENTORY', pagesize: 500, page: 1 })).map(each =>
      String(each['description']),
    )
    for (const words of [
      /took the VM snapshot backup/,
      /own is not in the vCenter/,
      /as it is here again/,
      /: it is not in the/,
    ])
      assert.equal(told.filter(each => words.test(each)).length, 1, String(words))
    await callJob(lab, 'destroyVirtualMachine', { id, expunge: true })
  })

  test('a machine that goes off by itself is Stopped; a host that is lost is Down, and its machines with it', async () => {
    const { id } = await deployed(lab, template)
    const machine = kept(id)
    assert.ok(machine)
    switchAside(lab.world, machine, 'off', 'the guest shut down')
    await eventually('it is Stopped', async () => (await stateOf(lab, id)) === 'Stopped')
    await callJob(lab, 'startVirtualMachine', { id })
    const { host_id } = await rowOf(id)
    const [host] = await listed(lab, 'listHosts', { id: String(host_id) })
    await call(lab, 'updateConfiguration', { name: 'simulated.hosts.down', value: String(host?.['name']) })
    await eventually(
      'the host is Down',
      async () => (await listed(lab, 'listHosts', { id: String(host_id) }))[0]?.['state'] === 'Down',
    )
    await eventually('it is Stopped', async () => (await stateOf(lab, id)) === 'Stopped')
    await call(lab, 'resetConfiguration', { name: 'simulated.hosts.down' })
    await eventually(
      'the host is Up',
      async () => (await listed(lab, 'listHosts', { id: String(host_id) }))[0]?.['state'] === 'Up',
    )
    await assert.rejects(call(lab, 'deleteHost', { id: String(host_id), forced: true }), { code: 'hosts-by-inventory' })
  })

  test("another vCenter's address is refused while machines are in this one; another address of the same is taken", async () => {
    await deployed(lab, template, { name: 'stays' })
    const other = await aConnection(lab)
    const elsewhere = { id: cluster, url: other.url, thumbprint: other.thumbprint }
    await assert.rejects(call(lab, 'updateCluster', elsewhere), /another vCenter, which lacks .*stays/)
    const shown = async () => (await listed(lab, 'listClusters', { id: cluster }))[0]?.['url']
    assert.equal(await shown(), url)
    const { pathname, host } = new URL(url)
    const same = `https://${host}:443${pathname}`
    await call(lab, 'updateCluster', { id: cluster, url: same })
    assert.equal(await shown(), same)
    await call(lab, 'updateCluster', { id: cluster, url, password: 'another' })
    assert.equal(await shown(), url)
  })

  test('a cluster without machines goes to another vCenter, unless templates of it are left', async () => {
    const { id } = await aVmwareCluster(lab)
    const other = await aConnection(lab)
    const elsewhere = { id, url: other.url, thumbprint: other.thumbprint }
    const left = await anAdopted(lab, id)
    await assert.rejects(call(lab, 'updateCluster', elsewhere), /lacks adopted/)
    await callJob(lab, 'deleteTemplate', { id: left })
    await call(lab, 'updateCluster', elsewhere)
    await call(lab, 'deleteCluster', { id })
  })

  test('a server that starts anew reaches the cluster again and finds its machines', async () => {
    const { id } = await deployed(lab, template)
    await lab.restart()
    await eventually(
      'the cluster is reached',
      async () => (await callJob(lab, 'stopVirtualMachine', { id }))['virtualmachine'],
    )
    assert.equal(kept(id)?.power, 'off')
  })

  test('destroyed and expunged, a machine is gone from the vCenter too; the cluster goes when nothing of it is left', async () => {
    await assert.rejects(call(lab, 'deleteCluster', { id: cluster }), { code: 'still-in-use' })
    await callJob(lab, 'deleteTemplate', { id: template })
    for (const { id, hypervisor } of await listed(lab, 'listVirtualMachines', { pagesize: 500, page: 1 }))
      if (hypervisor === 'VMware') await callJob(lab, 'destroyVirtualMachine', { id: String(id), expunge: true })
    await quiet(lab)
    const left = [...lab.world.kept.values()].filter(each => each.vcenter === vcenter())
    assert.deepEqual(left.map(each => each.name).toSorted(), ['debian-12', 'wiki'])
    await call(lab, 'deleteCluster', { id: cluster })
    assert.deepEqual(await listed(lab, 'listHosts', { clusterid: cluster }), [])
    assert.deepEqual(await listed(lab, 'listClusters', { id: cluster }), [])
  })
})
