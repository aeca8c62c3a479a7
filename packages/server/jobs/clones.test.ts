// Clones of machines, on a simulated hypervisor with real contents: full, linked and instant ones of running and stopped machines and of VM
// snapshots, many at once; what they have of their source, what the source keeps, and that nothing is left of the fork between them.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { identityProblems } from '@ramet/core/identity.ts'
import type { JobId, VmId } from '@ramet/core/ids.ts'
import { writeDisk, writeMemory } from '../drivers/simulated/snapshots.ts'
import { nicsOf, vmById } from '../store/vms.ts'
import { volumesOf } from '../store/volumes.ts'
import { aClone, cloned, expunge, leftovers, swept } from '../testing/clones.ts'
import { call, callJob, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { eventually } from '../testing/eventually.ts'
import { aDomain, anAccount, ended, type Lab, quiet, simulatedLab, stateOf } from '../testing/lab.ts'
import { aMachine } from '../testing/volumes.ts'
import { aTwoDiskMachine, found, inMind, refusal, revert, start, stop, take, write } from '../testing/vm-snapshots.ts'

const kinds = ['full', 'linked', 'instant'] as const

describe('a clone', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab({ hosts: 2 })
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const cuts = () => lab.world.calls.filter(name => name === 'machines.cut').length
  const row = async (vm: VmId) => {
    const machine = await vmById(lab.app.db, vm)
    assert.ok(machine)
    return machine
  }
  const macsOf = async (vm: VmId) => (await nicsOf(lab.app.db, vm)).map(({ mac }) => mac)

  test('needs room on its pool for what it copies, once, and for nothing that it shares', async () => {
    const source = await aTwoDiskMachine(lab)
    await callJob(lab, 'freezeVirtualMachine', { id: source })
    const [root] = await volumesOf(lab.app.db, source)
    const cloneWhere = async (share: number, clonetype: (typeof kinds)[number]) => {
      const bytes = Math.floor(share * 2 ** 44) // of what the simulated pool has
      await lab.app.db.updateTable('layer').set({ allocated_bytes: bytes }).where('id', '=', root!.layer_id!).execute()
      return callJob(lab, 'cloneVirtualMachine', { virtualmachineid: source, clonetype })
    }
    assert.ok((await cloneWhere(0.6, 'full'))['virtualmachine'])
    for (const kind of ['linked', 'instant'] as const) assert.ok((await cloneWhere(2, kind))['virtualmachine'])
    assert.match(String((await cloneWhere(2, 'full'))['errortext']), /No room for the machine/)
  })

  for (const kind of kinds)
    test(`of a running machine has all its disks as they were at one instant: ${kind}`, async () => {
      const source = await aTwoDiskMachine(lab)
      write(lab, source, 'then')
      const clone = await aClone(lab, source, kind, { name: `of-running-${kind}` })
      await quiet(lab)
      write(lab, source, 'later')
      assert.deepEqual(await found(lab, clone), ['then', 'then'])
      write(lab, clone, 'own')
      assert.deepEqual(await found(lab, source), ['later', 'later'])
      assert.equal(await stateOf(lab, clone), 'Running')
      assert.equal((await row(clone)).name, `of-running-${kind}`)
      const [was, is] = [await row(source), await row(clone)]
      assert.notEqual(is.generation_id, was.generation_id)
      assert.equal(is.is_instant, kind === 'instant')
      const [theirs, its] = [await macsOf(source), await macsOf(clone)]
      assert.equal(new Set([...theirs, ...its]).size, theirs.length + its.length)
      const [shown] = await listed(lab, 'listVirtualMachines', { id: clone })
      assert.equal(shown?.['clonetype'], kind)
      const ofKind = await listed(lab, 'listVirtualMachines', {
        clonetype: kind,
        listall: true,
        page: 1,
        pagesize: 500,
      })
      assert.ok(ofKind.some(({ id }) => id === clone))
      assert.deepEqual(await listed(lab, 'listVMSnapshot', { virtualmachineid: source }), [])
      await expunge(lab, clone)
      await expunge(lab, source)
    })

  test('leaves nothing of the fork, and its source has as few layers as before when it is gone', async () => {
    const source = await aTwoDiskMachine(lab)
    await swept(lab)
    const earlier = await leftovers(lab)
    for (const kind of kinds) {
      const clone = await aClone(lab, source, kind)
      await expunge(lab, clone)
      await swept(lab)
      assert.deepEqual(await leftovers(lab), earlier, kind)
    }
    await expunge(lab, source)
  })

  test('goes on with the memory of its source, which goes on too; then each has its own', async () => {
    const source = await aTwoDiskMachine(lab)
    writeMemory(lab.world, source, 'thought')
    const clone = await aClone(lab, source, 'instant')
    await quiet(lab)
    writeMemory(lab.world, source, 'new thought')
    assert.deepEqual([inMind(lab, clone), inMind(lab, source)], ['thought', 'new thought'])
    assert.deepEqual(lab.world.machines.get(clone)?.inherited, [], 'the cards of its source are pulled out')
    assert.ok((await row(clone)).memory_image_id)
    assert.ok(((await row(clone)).memory_counted_mib ?? 0) < (await row(clone)).memory_mib)
    await stop(lab, clone)
    assert.deepEqual([(await row(clone)).memory_image_id, (await row(clone)).memory_counted_mib], [null, null])
    await start(lab, clone)
    assert.equal(inMind(lab, clone), '', 'it boots from its disks')
    assert.equal((await row(clone)).is_instant, true)
    const { errortext } = await callJob(lab, 'convertVirtualMachineToFullClone', { virtualmachineid: clone })
    assert.equal(errortext, undefined)
    assert.equal((await listed(lab, 'listVirtualMachines', { id: clone }))[0]?.['clonetype'], 'full')
  })

  test('is customized once it runs, and again when it goes on from an earlier memory; until then it says why not', async () => {
    const source = await aTwoDiskMachine(lab)
    lab.world.identityProblems = [identityProblems.noAgent]
    const clone = await aClone(lab, source, 'instant', { name: 'somebody' })
    const shown = async () => (await listed(lab, 'listVirtualMachines', { id: clone }))[0]
    const first = await shown()
    assert.equal(first?.['customized'], false)
    assert.match(String(first['identityproblems']), /not customized yet|does not answer/)
    const warm = await take(lab, clone, 'warm', { snapshotmemory: true })
    lab.world.identityProblems = []
    await eventually('it is customized', async () => (await shown())?.['customized'] === true)
    assert.deepEqual(lab.world.machines.get(clone)?.guest, { instanceId: clone, hostname: 'somebody' })
    assert.deepEqual((await shown())?.['identityproblems'], [])
    lab.world.identityProblems = [identityProblems.hostname]
    await revert(lab, warm)
    await eventually('it is looked at again', async () => (await row(clone)).identity_problems.length > 0)
    lab.world.identityProblems = []
    await eventually('it is customized', async () => (await row(clone)).customized)
    const [theirs] = await listed(lab, 'listVirtualMachines', { id: source })
    assert.deepEqual([theirs?.['customized'], theirs?.['identityproblems']], [true, []])
    await expunge(lab, clone)
    await expunge(lab, source)
  })

  test('is customized when it has its own network cards, not before', async () => {
    const source = await aTwoDiskMachine(lab)
    lab.world.delays.set('machines.pullInheritedNics', 1500)
    const clone = await aClone(lab, source, 'instant')
    const order = () => lab.world.calls.filter(name => /attachNic|customize/.test(name)).slice(-2)
    await eventually('it is customized', async () => (await row(clone)).customized)
    assert.deepEqual(order(), ['machines.attachNic', 'machines.customize'])
    lab.world.delays.clear()
    await expunge(lab, clone)
    await expunge(lab, source)
  })

  test('whose guest keeps the cards of its source has its own beside them, at places of their own, also when it boots', async () => {
    const source = await aTwoDiskMachine(lab)
    lab.world.heldNics = [0]
    const clone = await aClone(lab, source, 'instant')
    await quiet(lab)
    lab.world.heldNics = []
    const cards = await nicsOf(lab.app.db, clone)
    assert.deepEqual(
      cards.map(({ device_id }) => device_id),
      [1],
    )
    assert.deepEqual(lab.world.machines.get(clone)?.nics, { 1: cards[0]?.id })
    assert.ok(cards[0]?.ssh_port, 'its SSH can be reached')
    const told = await listed(lab, 'listEvents', { type: 'NIC.CHANGE', resourceid: clone, listall: true })
    assert.ok(told.some(({ description }) => /keeps card 0 of its source.*without link/.test(String(description))))
    await stop(lab, clone)
    await start(lab, clone)
    assert.deepEqual(lab.world.machines.get(clone)?.nics, { 1: cards[0]?.id })
    const { errortext } = await callJob(lab, 'rebootVirtualMachine', { id: clone })
    assert.equal(errortext, undefined)
  })

  test('is a machine like any other: snapshots, reverts, clones of clones', async () => {
    let vm = await aTwoDiskMachine(lab)
    const generations = [vm]
    for (const generation of [1, 2, 3, 4]) {
      write(lab, vm, `generation ${generation}`)
      vm = await aClone(lab, vm, 'instant')
      generations.push(vm)
    }
    for (const [generation, each] of generations.slice(1).entries())
      assert.equal(inMind(lab, each), `generation ${Math.min(generation + 2, 4)}`)
    write(lab, vm, 'mine')
    const warm = await take(lab, vm, 'warm', { snapshotmemory: true })
    write(lab, vm, 'lost')
    await revert(lab, warm)
    assert.deepEqual([...(await found(lab, vm)), inMind(lab, vm)], ['mine', 'mine', 'mine'])
    const [first, second] = await cloned(lab, { vmsnapshotid: warm, clonetype: 'instant', count: 2, name: 'of-warm' })
    assert.ok(first && second)
    assert.deepEqual([first['name'], second['name']], ['of-warm-1', 'of-warm-2'])
    assert.deepEqual([...(await found(lab, second.id)), inMind(lab, second.id)], ['mine', 'mine', 'mine'])
    for (const clonetype of ['linked', 'full'] as const) {
      const [other] = await cloned(lab, { vmsnapshotid: warm, clonetype })
      assert.ok(other)
      assert.deepEqual([...(await found(lab, other.id)), inMind(lab, other.id)], ['mine', 'mine', ''])
    }
    await callJob(lab, 'deleteVMSnapshot', { vmsnapshotid: warm })
    for (const each of generations.slice(0, 3)) await expunge(lab, each)
    assert.deepEqual(await found(lab, vm), ['mine', 'mine'])
    assert.deepEqual(await found(lab, first.id), ['mine', 'mine'])
  })

  test('of a stopped machine has its disks, and cannot be instant', async () => {
    const source = await aTwoDiskMachine(lab)
    write(lab, source, 'kept')
    await stop(lab, source)
    for (const kind of ['full', 'linked'] as const) {
      const clone = await aClone(lab, source, kind)
      assert.deepEqual(await found(lab, clone), ['kept', 'kept'])
    }
    assert.equal(await stateOf(lab, source), 'Stopped')
    const refused = await refusal(lab, 'cloneVirtualMachine', { virtualmachineid: source, clonetype: 'instant' })
    assert.equal(refused['code'], 'memory-of-stopped')
    assert.match(String(refused['errortext']), /Start it first/)
  })

  test('of a machine that many stand on is advised against, by the event', async () => {
    const source = await aTwoDiskMachine(lab)
    await call(lab, 'updateConfiguration', { name: 'instantclone.delta.threshold', value: 2 })
    for (const _ of [1, 2, 3]) await aClone(lab, source, 'linked')
    await call(lab, 'resetConfiguration', { name: 'instantclone.delta.threshold' })
    const told = await listed(lab, 'listEvents', { type: 'VM.FORK', resourceid: source, listall: true })
    const advised = told.filter(({ description }) => String(description).includes('freezeVirtualMachine'))
    assert.equal(advised.length, 1)
    assert.match(String(advised[0]?.['description']), /2 disks stand on those of the machine/)
  })

  test('asked for by many calls at once, they share the cuts that have not begun', async () => {
    const source = await aTwoDiskMachine(lab)
    const earlier = cuts()
    lab.world.delays.set('machines.cut', 200)
    const ask = { virtualmachineid: source, clonetype: 'instant' }
    const calls = await Promise.all(Array.from({ length: 12 }, () => call(lab, 'cloneVirtualMachine', ask)))
    const jobs = await Promise.all(calls.map(({ jobid }) => ended(lab, jobid as JobId)))
    lab.world.delays.delete('machines.cut')
    assert.deepEqual([...new Set(jobs.map(({ state }) => state))], ['done'])
    assert.ok(cuts() - earlier < 12, `${cuts() - earlier} cuts`)
  })

  test('is refused for its reason, and nothing is begun', async () => {
    const source = await aTwoDiskMachine(lab)
    const plain = await take(lab, source, 'plain')
    const large = await lab.app.db
      .selectFrom('service_offering')
      .select('id')
      .where('name', '=', 'Medium Instance')
      .executeTakeFirstOrThrow()
    const refused = async (given: Record<string, string | number>, code: string, text: RegExp) => {
      const answer = await refusal(lab, 'cloneVirtualMachine', given)
      assert.match(String(answer['errortext']), text)
      assert.equal(answer['code'], code)
    }
    const count = async () => (await lab.app.db.selectFrom('vm').select('id').execute()).length
    const earlier = [await count(), await leftovers(lab)]
    const of = { virtualmachineid: source }
    await refused({}, 'invalid-parameter', /virtualmachineid is missing, or vmsnapshotid is/)
    await refused({ ...of, vmsnapshotid: plain }, 'invalid-parameter', /exclude each other/)
    await refused({ vmsnapshotid: plain, clonetype: 'instant' }, 'no-memory', /snapshotmemory=true/)
    await refused(
      { ...of, clonetype: 'instant', serviceofferingid: large.id },
      'invalid-parameter',
      /goes on as .* was/,
    )
    await refused({ ...of, count: 201 }, 'invalid-parameter', /vm.clone.max.count/)
    await refused({ ...of, count: 2, name: 'x'.repeat(62) }, 'invalid-parameter', /RFC 1123/)
    lab.world.hostMemoryMib = 0
    await refused({ ...of, clonetype: 'instant', count: 3 }, 'no-capacity', /room for 0 of 3 instant clones/)
    lab.world.hostMemoryMib = 2 ** 20
    await lab.app.db.updateTable('vm').set({ state: 'Migrating' }).where('id', '=', source).execute()
    await refused({ ...of, clonetype: 'linked' }, 'wrong-vm-state', /is Migrating; clone is possible only when/)
    await lab.app.db.updateTable('vm').set({ state: 'Running' }).where('id', '=', source).execute()
    assert.deepEqual([await count(), await leftovers(lab)], earlier)
    await callJob(lab, 'deleteVMSnapshot', { vmsnapshotid: plain })
  })

  test('is of another account where that is named, if it shares nothing with its source', async () => {
    const source = await aTwoDiskMachine(lab)
    write(lab, source, 'given')
    const domainid = await aDomain(lab, 'others')
    const { account } = await anAccount(lab, domainid)
    const ask = { virtualmachineid: source, account, domainid }
    for (const clonetype of ['instant', 'linked'] as const) {
      const refused = await refusal(lab, 'cloneVirtualMachine', { ...ask, clonetype })
      assert.equal(refused['code'], 'clone-of-other-account')
      assert.match(String(refused['errortext']), /accounts share neither.*clonetype=full/)
    }
    const [clone] = await cloned(lab, { ...ask, clonetype: 'full' })
    assert.ok(clone)
    const volumes = await volumesOf(lab.app.db, clone.id)
    const owners = [(await row(clone.id)).account_id, ...volumes.map(({ account_id }) => account_id)]
    assert.deepEqual(owners, [account, account, account])
    assert.deepEqual(await found(lab, clone.id), ['given', 'given'])
    await expunge(lab, clone.id)
  })

  test('whose memory does not fit any more, or for which the host has no memory left, is refused; its disks can be cloned', async () => {
    const source = await aTwoDiskMachine(lab)
    write(lab, source, 'safe')
    await callJob(lab, 'freezeVirtualMachine', { id: source })
    const fork = await lab.app.db.selectFrom('fork').selectAll().where('vm_id', '=', source).executeTakeFirstOrThrow()
    const image = fork.memory_image_id
    assert.ok(image)
    const ask = { virtualmachineid: source, clonetype: 'instant' }
    lab.world.misfits.set(image, 'it was made by another version')
    const misfit = await refusal(lab, 'cloneVirtualMachine', ask)
    assert.match(
      String(misfit['errortext']),
      /made by another version. Its disks can be cloned: clonetype=linked or full/,
    )
    assert.deepEqual(await found(lab, await aClone(lab, source, 'linked')), ['safe', 'safe'])
    lab.world.misfits.delete(image)
    lab.world.delays.set('layers.fork', 300)
    const { jobid } = await call(lab, 'cloneVirtualMachine', ask)
    lab.world.hostMemoryMib = 0
    const full = await ended(lab, jobid as JobId)
    lab.world.hostMemoryMib = 2 ** 20
    lab.world.delays.delete('layers.fork')
    assert.deepEqual([full.state, full.problem?.code], ['failed', 'no-capacity'])
    assert.match(String(full.problem?.message), /it would swap. Stop machines there/)
    assert.deepEqual(await found(lab, await aClone(lab, source, 'instant')), ['safe', 'safe'])
  })

  test('that cannot be made is in Error, tells why, and leaves its source as it was', async () => {
    const source = await aTwoDiskMachine(lab)
    write(lab, source, 'safe')
    await swept(lab)
    const earlier = await leftovers(lab)
    lab.world.faults.set('machines.cut', 1)
    const ask = { virtualmachineid: source, clonetype: 'instant', count: 2 }
    const failed = await refusal(lab, 'cloneVirtualMachine', { ...ask, name: 'fails-first' })
    assert.match(String(failed['errortext']), /2 of 2 clones could not be made/)
    lab.world.faults.set('machines.start', 1)
    const some = await refusal(lab, 'cloneVirtualMachine', { ...ask, name: 'fails-then' })
    assert.match(String(some['errortext']), /1 of 2 clones could not be made/)
    assert.deepEqual([...(await found(lab, source)), inMind(lab, source)], ['safe', 'safe', 'safe'])
    const made = await lab.app.db
      .selectFrom('vm')
      .select('id')
      .where('name', 'like', 'fails-%')
      .where('removed', 'is', null)
      .execute()
    assert.equal(made.length, 4)
    for (const { id } of made) await expunge(lab, id)
    await swept(lab)
    assert.deepEqual(await leftovers(lab), earlier)
  })

  test('a hundred instant ones are made at once of one cut', async () => {
    const { vm: source } = await aMachine(lab, 'Running')
    writeDisk(lab.world, source, 0, 0, 'many')
    const earlier = cuts()
    const ask = { virtualmachineid: source, clonetype: 'instant', count: 100, name: 'many' }
    const { jobid } = await call(lab, 'cloneVirtualMachine', ask)
    const job = await eventually('a hundred clones are made', () => whole(jobid as JobId), 200)
    assert.equal(job.state, 'done', job.problem?.message)
    assert.equal(cuts(), earlier + 1)
    const asked = { listall: true, clonetype: 'instant', keyword: 'many-', page: 1, pagesize: 500 }
    const clones = await listed(lab, 'listVirtualMachines', asked)
    assert.equal(clones.length, 100)
    assert.ok(clones.every(({ state }) => state === 'Running'))
    const ids = clones.map(({ id }) => id as VmId)
    const cards = (await Promise.all([source, ...ids].map(id => nicsOf(lab.app.db, id)))).flat()
    for (const key of ['mac', 'ip_address'] as const) assert.equal(new Set(cards.map(nic => nic[key])).size, 101)
    const written = ids.slice(0, 3)
    for (const id of written) writeDisk(lab.world, id, 0, 0, id)
    for (const id of written) assert.deepEqual(await found(lab, id), [id])
    for (const id of [source, ids[50] as VmId]) assert.deepEqual(await found(lab, id), ['many'])
    const root = (await volumesOf(lab.app.db, source))[0]?.layer_id ?? null
    const { parent_id } = await lab.app.db
      .selectFrom('layer')
      .select('parent_id')
      .where('id', '=', root)
      .executeTakeFirstOrThrow()
    const children = await lab.app.db.selectFrom('layer').select('id').where('parent_id', '=', parent_id).execute()
    assert.equal(children.length, 101)
  })

  const whole = async (id: JobId) => {
    const job = await lab.app.db.selectFrom('job').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    return job.completed ? job : null
  }
})
