// Frozen machines, on a simulated hypervisor with real contents: clones of the instant at which they stand still, what may be done with them
// meanwhile, how they go on, and how they are destroyed under their clones.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { JobId, VmId } from '@ramet/core/ids.ts'
import { switchPower } from '../drivers/simulated/world.ts'
import { vmById } from '../store/vms.ts'
import { volumesOf } from '../store/volumes.ts'
import { aClone, cloned, expunge, leftovers, swept } from '../testing/clones.ts'
import { call, callJob, type Given, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { eventually } from '../testing/eventually.ts'
import { type Lab, quiet, simulatedLab, stateOf } from '../testing/lab.ts'
import { aTwoDiskMachine, found, inMind, refusal, start, write } from '../testing/vm-snapshots.ts'

describe('a frozen machine', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab({ hosts: 2 })
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const ok = async (name: string, given: Given) => {
    const answer = await callJob(lab, name, given)
    assert.equal(answer['errortext'], undefined, `${name}: ${String(answer['errortext'])}`)
    return answer
  }
  const freeze = (id: VmId) => ok('freezeVirtualMachine', { id })
  const unfreeze = (id: VmId) => ok('unfreezeVirtualMachine', { id })
  const aFrozen = async (text: string) => {
    const vm = await aTwoDiskMachine(lab)
    write(lab, vm, text)
    await freeze(vm)
    return vm
  }
  const layersOf = async (vm: VmId) => (await volumesOf(lab.app.db, vm)).map(({ layer_id }) => layer_id)

  test('is Stopped and frozen, and goes on where it stood still', async () => {
    const vm = await aFrozen('still')
    const [shown] = await listed(lab, 'listVirtualMachines', { frozen: true, listall: true })
    assert.deepEqual([shown?.['id'], shown?.['state'], shown?.['frozen']], [vm, 'Stopped', true])
    assert.deepEqual(shown?.['actions'], ['destroy', 'expunge', 'update', 'clone', 'unfreeze'])
    assert.deepEqual(await found(lab, vm), ['still', 'still'])
    await unfreeze(vm)
    assert.equal(await stateOf(lab, vm), 'Running')
    assert.deepEqual([...(await found(lab, vm)), inMind(lab, vm)], ['still', 'still', 'still'])
    assert.deepEqual(await listed(lab, 'listVirtualMachines', { frozen: true, listall: true }), [])
    await swept(lab)
    assert.deepEqual(
      { ...(await leftovers(lab)), layers: null },
      { forks: 0, forkDisks: 0, images: [0, 0], layers: null },
    )
    await expunge(lab, vm)
  })

  test('has clones that cost it nothing, of all kinds, and none sees another', async () => {
    const source = await aFrozen('point')
    const earlier = await layersOf(source)
    const cuts = lab.world.calls.filter(name => name === 'machines.cut').length
    const many = await cloned(lab, { virtualmachineid: source, clonetype: 'instant', count: 10 })
    const others = [await aClone(lab, source, 'linked'), await aClone(lab, source, 'full')]
    assert.equal(lab.world.calls.filter(name => name === 'machines.cut').length, cuts)
    for (const { id } of many) {
      assert.equal(inMind(lab, id), 'point')
      write(lab, id, id)
    }
    for (const { id } of many) assert.deepEqual(await found(lab, id), [id, id])
    for (const id of others) assert.deepEqual([...(await found(lab, id)), inMind(lab, id)], ['point', 'point', ''])
    assert.deepEqual(await layersOf(source), earlier)

    const refused = await refusal(lab, 'unfreezeVirtualMachine', { id: source })
    assert.deepEqual([refused['code'], refused['kind']], ['source-has-clones', 'in-use'])
    assert.match(String(refused['errortext']), /frozen source of 11 clones .*convertVirtualMachineToFullClone/)
    for (const { id } of many) await expunge(lab, id)
    assert.match(String((await refusal(lab, 'unfreezeVirtualMachine', { id: source }))['errortext']), /of 1 clone \(/)
    await ok('convertVirtualMachineToFullClone', { virtualmachineid: others[0] as VmId })
    await unfreeze(source)
    write(lab, source, 'on')
    for (const id of others) assert.deepEqual(await found(lab, id), ['point', 'point'])
    for (const id of [source, ...others]) await expunge(lab, id)
  })

  test('is left alone but for a few things, and says so', async () => {
    const vm = await aFrozen('alone')
    const [root, data] = await volumesOf(lab.app.db, vm)
    assert.ok(root && data)
    const { service_offering_id: serviceofferingid } = (await vmById(lab.app.db, vm)) ?? {}
    const attempts: [string, Given][] = [
      ['startVirtualMachine', { id: vm }],
      ['stopVirtualMachine', { id: vm }],
      ['createVMSnapshot', { virtualmachineid: vm }],
      ['detachVolume', { id: data.id }],
      ['resizeVolume', { id: root.id, size: 4 }],
      ['scaleVirtualMachine', { id: vm, serviceofferingid: serviceofferingid ?? '' }],
      ['convertVirtualMachineToFullClone', { virtualmachineid: vm }],
      ['consolidateVirtualMachine', { virtualmachineid: vm }],
      ['restoreVirtualMachine', { virtualmachineid: vm }],
      ['freezeVirtualMachine', { id: vm }],
    ]
    for (const [name, given] of attempts)
      assert.match(String((await refusal(lab, name, given))['errortext']), /is frozen, a source for clones/, name)
    await call(lab, 'updateVirtualMachine', { id: vm, displayname: 'golden' })
    await unfreeze(vm)
    assert.match(
      String((await refusal(lab, 'unfreezeVirtualMachine', { id: vm }))['errortext']),
      /is not frozen, but Running/,
    )
    await expunge(lab, vm)
  })

  test('is destroyed under its clones, which keep what they read of it', async () => {
    const source = await aFrozen('base')
    const [one, two] = await cloned(lab, { virtualmachineid: source, clonetype: 'instant', count: 2 })
    assert.ok(one && two)
    await expunge(lab, source)
    await swept(lab)
    for (const { id } of [one, two])
      assert.deepEqual([...(await found(lab, id)), inMind(lab, id)], ['base', 'base', 'base'])
    await expunge(lab, one.id)
    await swept(lab)
    assert.deepEqual(await found(lab, two.id), ['base', 'base'])
    await expunge(lab, two.id)
    await swept(lab)
    assert.deepEqual(
      { ...(await leftovers(lab)), layers: null },
      { forks: 0, forkDisks: 0, images: [0, 0], layers: null },
    )
  })

  test('that is destroyed and recovered boots from its disks', async () => {
    const vm = await aFrozen('disks')
    await ok('destroyVirtualMachine', { id: vm })
    await call(lab, 'recoverVirtualMachine', { id: vm })
    await start(lab, vm)
    assert.deepEqual([...(await found(lab, vm)), inMind(lab, vm)], ['disks', '']) // the data disk stayed with the account
    await expunge(lab, vm)
  })

  test('whose freeze fails goes on from there on its new layers, and what it writes then fits its memory', async () => {
    const vm = await aTwoDiskMachine(lab)
    write(lab, vm, 'before')
    const earlier = await layersOf(vm)
    lab.world.faults.set('layers.facts', 1) // asked when it stands still
    assert.match(String((await refusal(lab, 'freezeVirtualMachine', { id: vm }))['errortext']), /refuses layers\.facts/)
    assert.equal(await stateOf(lab, vm), 'Running')
    assert.equal(inMind(lab, vm), 'before')
    assert.deepEqual(await found(lab, vm), ['before', 'before'])
    assert.ok((await layersOf(vm)).every(layer => !earlier.includes(layer)))
    write(lab, vm, 'after')
    await expunge(lab, vm)
    await swept(lab)
  })

  test('that went on after a failed freeze, and off again noticed by nobody, stays off with what it wrote', async () => {
    const vm = await aTwoDiskMachine(lab)
    write(lab, vm, 'before')
    for (const fault of ['layers.facts', 'memory.discard']) lab.world.faults.set(fault, 1)
    const { jobid } = await call(lab, 'freezeVirtualMachine', { id: vm })
    await eventually('the undo has run it, and is stuck', async () => {
      const job = await lab.app.db
        .selectFrom('job')
        .select('state')
        .where('id', '=', jobid as JobId)
        .executeTakeFirst()
      return job?.state === 'stuck'
    })
    write(lab, vm, 'written then')
    switchPower(lab.world, vm, 'off', 'the guest shut down')
    await call(lab, 'retryJob', { jobid: jobid as JobId })
    await quiet(lab)
    const { jobresult } = await call(lab, 'queryAsyncJobResult', { jobid: jobid as JobId })
    assert.match(String((jobresult as Given)['errortext']), /The machine is Stopped: it ran on, and went off again/)
    assert.equal(await stateOf(lab, vm), 'Stopped')
    await start(lab, vm)
    assert.deepEqual([...(await found(lab, vm)), inMind(lab, vm)], ['written then', 'written then', ''])
    await expunge(lab, vm)
    await swept(lab)
  })

  test('whose memory is lost with its host is left stopped, and boots from its disks', async () => {
    const vm = await aFrozen('kept')
    lab.world.memory.clear()
    const lost = await refusal(lab, 'cloneVirtualMachine', { virtualmachineid: vm, clonetype: 'instant' })
    assert.match(String(lost['errortext']), /cannot go on from that memory here/)
    for (const { id } of await listed(lab, 'listVirtualMachines', { listall: true, state: 'Error' }))
      await expunge(lab, id as VmId)
    await unfreeze(vm)
    assert.equal(await stateOf(lab, vm), 'Stopped')
    await start(lab, vm)
    assert.deepEqual([...(await found(lab, vm)), inMind(lab, vm)], ['kept', 'kept', ''])
    await expunge(lab, vm)
    await quiet(lab)
  })
})
