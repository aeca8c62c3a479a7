// cloneVirtualMachine where the hypervisor keeps the disks, on a simulated vCenter: full, linked and instant clones of machines there, and
// what is different from the server's own hosts.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type ClusterId, newId, type TemplateId, type VmId } from '@ramet/core/ids.ts'
import { type Kept, keptAs, put } from '../drivers/simulated/kept.ts'
import { call, callJob, listed } from '../testing/call.ts'
import { aClone, cloned, expunge } from '../testing/clones.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { type Lab, quiet, simulatedLab, stateOf } from '../testing/lab.ts'
import { anAdopted, aVmwareCluster, deployed } from '../testing/vcenter.ts'
import { refusal } from '../testing/vm-snapshots.ts'
import { watchConsolidation } from '../watch/consolidation.ts'

describe('a clone of a machine on a vCenter', () => {
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

  function kept(vm: VmId): Kept {
    const found = keptAs(lab.world, `${new URL(url).host}${new URL(url).pathname}`, vm)
    assert.ok(found)
    return found
  }
  const write = (vm: VmId, text: string) => {
    const disks = kept(vm).disks.map(disk => ({ ...disk, blocks: { ...disk.blocks, 1: text } }))
    put(lab.world, { ...kept(vm), disks, memory: text })
  }
  const found = (vm: VmId) => [kept(vm).disks[0]?.blocks[1], kept(vm).memory]
  const source = async (text: string): Promise<VmId> => {
    const { id } = await deployed(lab, template)
    write(id, text)
    return id
  }
  const shown = async (id: VmId) => (await listed(lab, 'listVirtualMachines', { id }))[0] ?? {}
  const rootDepth = async (vm: VmId) => {
    const query = lab.app.db.selectFrom('volume').select('disk_depth').where('vm_id', '=', vm)
    return (await query.executeTakeFirstOrThrow()).disk_depth
  }

  test('goes on at the very instruction, on the host of its source, with a name, address and cards of its own', async () => {
    const vm = await source('now')
    const clones = await cloned(lab, { virtualmachineid: vm, clonetype: 'instant', count: 3, name: 'lab' })
    assert.deepEqual(
      clones.map(({ name, clonetype, state, customized }) => [name, clonetype, state, customized]),
      [1, 2, 3].map(number => [`lab-${number}`, 'instant', 'Running', false]),
    )
    const first = clones[0]!
    assert.match(String(first['identityproblems']), /nobody has looked into the guest/)
    assert.equal(first['hostid'], (await shown(vm))['hostid'])
    for (const { id } of clones) assert.deepEqual(found(id), ['now', 'now'])
    const macs = await lab.app.db.selectFrom('nic').select('mac').execute()
    assert.equal(new Set(macs.map(({ mac }) => mac)).size, macs.length)
    write(first.id, 'mine')
    assert.deepEqual(
      [found(vm), found(clones[1]!.id)],
      [
        ['now', 'now'],
        ['now', 'now'],
      ],
    )
    const told = await listed(lab, 'listEvents', { type: 'VM.CLONE', resourceid: first.id, listall: true })
    assert.ok(told.some(({ description }) => String(description).includes('of a running machine')))
    await callJob(lab, 'rebootVirtualMachine', { id: first.id })
    assert.deepEqual((await shown(first.id))['identityproblems'], [])
    for (const { id } of clones) await expunge(lab, id)
    await expunge(lab, vm)
  })

  test('leaves a file behind on a source that runs, and none on one that is frozen; from the threshold on that is told', async () => {
    const vm = await source('now')
    const depth = (await rootDepth(vm)) ?? 0
    await aClone(lab, vm, 'instant')
    assert.equal(await rootDepth(vm), depth + 1)
    await call(lab, 'updateConfiguration', { name: 'instantclone.delta.threshold', value: depth + 2 })
    const advised = await aClone(lab, vm, 'instant')
    await call(lab, 'resetConfiguration', { name: 'instantclone.delta.threshold' })
    const [told] = await listed(lab, 'listEvents', {
      type: 'VM.CLONE',
      resourceid: advised,
      listall: true,
      state: 'Completed',
    })
    assert.match(String(told?.['description']), /consolidateVirtualMachine/)
    put(lab.world, { ...kept(vm), isFrozen: true })
    await aClone(lab, vm, 'instant')
    assert.equal(await rootDepth(vm), depth + 2)
  })

  test('is read by nobody once it is gone: what it had its source leave goes at night, or from the threshold on', async () => {
    const vm = await source('now')
    const depth = (await rootDepth(vm)) ?? 0
    const watch = watchConsolidation(lab.app, lab.app.jobs)
    const told = async () => {
      await quiet(lab)
      const events = await listed(lab, 'listEvents', { type: 'VM.CONSOLIDATE', resourceid: vm, listall: true })
      return events.map(({ description }) => String(description))
    }
    const stays = await aClone(lab, vm, 'instant')
    for (let count = 0; count < 6; count++) await expunge(lab, await aClone(lab, vm, 'instant'))
    await watch.sweep(false)
    assert.deepEqual([await told(), await rootDepth(vm)], [[], depth + 7])
    await watch.sweep(true)
    assert.ok((await told()).some(text => text.includes('it was copied, and stays for them')))
    assert.equal(await rootDepth(vm), 1)
    assert.equal((await shown(vm))['clonetype'], 'full')
    assert.deepEqual(found(stays), ['now', 'now'])
    await expunge(lab, await aClone(lab, vm, 'instant'))
    await callJob(lab, 'consolidateVirtualMachine', { virtualmachineid: vm })
    assert.ok((await told()).some(text => text.includes('what clones had left was merged')))
    await call(lab, 'updateConfiguration', { name: 'instantclone.delta.threshold', value: 2 })
    await expunge(lab, await aClone(lab, vm, 'instant'))
    await watch.sweep(false)
    await quiet(lab)
    watch.close()
    await call(lab, 'resetConfiguration', { name: 'instantclone.delta.threshold' })
    assert.equal(await rootDepth(vm), 1)
  })

  test('is linked to one instant for all of a call, which is no VM snapshot; a full one shares nothing', async () => {
    const vm = await source('then')
    const linked = await cloned(lab, { virtualmachineid: vm, clonetype: 'linked', count: 2 })
    const full = await aClone(lab, vm, 'full')
    write(vm, 'later')
    for (const { id } of linked) {
      assert.equal(found(id)[0], 'then')
      assert.ok(kept(id).disks[0]?.files.some(file => kept(vm).disks[0]?.files.includes(file)))
    }
    assert.equal(kept(vm).snapshots.length, 1)
    assert.deepEqual(await listed(lab, 'listVMSnapshot', { virtualmachineid: vm }), [])
    const inventory = await listed(lab, 'listUnmanagedInstances', { clusterid: cluster })
    assert.ok(!JSON.stringify(inventory).includes('ramet-fork'))
    assert.deepEqual([found(full)[0], kept(full).disks[0]?.files.length], ['then', 1])
    const stopped = await aClone(lab, full, 'linked')
    await callJob(lab, 'stopVirtualMachine', { id: full })
    assert.equal(found(await aClone(lab, full, 'full'))[0], 'then')
    assert.equal(await stateOf(lab, stopped), 'Running')
  })

  test('keeps its source there until it is gone or has disks of its own, also through other clones', async () => {
    const vm = await source('now')
    const child = await aClone(lab, vm, 'instant')
    const grandchild = await aClone(lab, child, 'instant')
    const gone = (id: VmId) => callJob(lab, 'destroyVirtualMachine', { id, expunge: true })
    const refused = await gone(vm)
    assert.match(String(refused['errortext']), /2 machines stand on the disks of virtual machine/)
    await callJob(lab, 'convertVirtualMachineToFullClone', { virtualmachineid: child })
    assert.equal((await shown(child))['clonetype'], 'full')
    assert.match(String((await gone(vm))['errortext']), /1 machine stands/)
    assert.match(String((await gone(child))['errortext']), /1 machine stands/)
    assert.deepEqual([await stateOf(lab, vm), await stateOf(lab, child)], ['Running', 'Running'])
    for (const id of [grandchild, child, vm]) await expunge(lab, id)
  })

  test('is refused for its reason, and nothing is begun', async () => {
    const vm = await source('now')
    const { vmsnapshot } = await callJob(lab, 'createVMSnapshot', { virtualmachineid: vm, snapshotmemory: true })
    const vmsnapshotid = (vmsnapshot as { id: string }).id
    const machines = () => lab.app.db.selectFrom('vm').select('id').execute()
    const earlier = (await machines()).length
    const refused = async (command: string, given: Record<string, string | number>, code: string, text: RegExp) => {
      const answer = await refusal(lab, command, given)
      assert.match(String(answer['errortext']), text)
      assert.equal(answer['code'], code)
    }
    const instant = { clonetype: 'instant' }
    await refused(
      'cloneVirtualMachine',
      { vmsnapshotid, ...instant },
      'instant-of-vm-snapshot',
      /give virtualmachineid/,
    )
    await refused('freezeVirtualMachine', { id: vm }, 'frozen-inside-guest', /vmware-rpctool "instantclone.freeze"/)
    await refused('unfreezeVirtualMachine', { id: vm }, 'frozen-inside-guest', /start it again/)
    await callJob(lab, 'stopVirtualMachine', { id: vm })
    await refused('cloneVirtualMachine', { virtualmachineid: vm, ...instant }, 'memory-of-stopped', /Start it first/)
    assert.equal((await machines()).length, earlier)
    for (const clonetype of ['linked', 'full'] as const) {
      const [clone] = await cloned(lab, { vmsnapshotid, clonetype })
      assert.equal(found(clone!.id)[0], 'now')
    }
  })

  test('that cannot be made is in Error, tells why, and leaves its source as it was', async () => {
    const vm = await source('safe')
    lab.world.faults.set('forest.instant', 1)
    const failed = await refusal(lab, 'cloneVirtualMachine', {
      virtualmachineid: vm,
      clonetype: 'instant',
      count: 2,
      name: `fails-${newId().slice(0, 8)}`,
    })
    assert.match(String(failed['errortext']), /1 of 2 clones could not be made/)
    assert.deepEqual([found(vm), await stateOf(lab, vm)], [['safe', 'safe'], 'Running'])
    const broken = await lab.app.db.selectFrom('vm').select('id').where('state', '=', 'Error').execute()
    assert.equal(broken.length, 1)
    for (const { id } of broken) await expunge(lab, id)
    await quiet(lab)
    const standing = await lab.app.db.selectFrom('clone_source').select('vm_id').where('source_id', '=', vm).execute()
    assert.equal(standing.length, 1)
  })
})
