// How many disks of clones may stand on a source: what is counted, what is done from a threshold on, what a hypervisor's own limit refuses,
// and that cleaning up gives the source its few layers back while every clone shows the same.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import type { VmId } from '@ramet/core/ids.ts'
import { silentLog } from '../log.ts'
import { keptForkOf } from '../store/forks.ts'
import { aClone, cloned, expunge, leftovers, swept } from '../testing/clones.ts'
import { callJob, listed } from '../testing/call.ts'
import { depthOf } from '../testing/chains.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { type Lab, quiet, simulatedLab, stateOf } from '../testing/lab.ts'
import { aTwoDiskMachine, found, inMind, refusal, setting, start, stop, write } from '../testing/vm-snapshots.ts'
import { watchConsolidation } from '../watch/consolidation.ts'

describe('disks of clones on a source', () => {
  let lab: Lab
  before(async () => void (lab = await simulatedLab({ hosts: 2 })))
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })
  beforeEach(async () => {
    await setting(lab, 'instantclone.delta.threshold', 200)
    await setting(lab, 'instantclone.delta.switch', 'true')
    await setting(lab, 'consolidation.mibps', 0)
    await lab.app.db.updateTable('hypervisor_capabilities').set({ most_deltas: 255 }).execute()
  })

  const deltas = async (id: VmId) => (await listed(lab, 'listVirtualMachines', { id }))[0]?.['deltas']
  const cuts = () => lab.world.calls.filter(name => name === 'machines.cut').length
  const kept = (vm: VmId) => lab.app.db.transaction().execute(tx => keptForkOf(tx, vm))
  const toldOf = async (vm: VmId, type: string) =>
    (await listed(lab, 'listEvents', { type, resourceid: vm, listall: true }))
      .map(({ description }) => String(description))
      .join('\n')

  test('are its deltas; those of its clones are not, nor what stands on a frozen one', async () => {
    const source = await aTwoDiskMachine(lab)
    assert.equal(await deltas(source), 0)
    const clones = [await aClone(lab, source, 'instant'), await aClone(lab, source, 'linked')]
    const [first, second] = clones as [VmId, VmId]
    await aClone(lab, source, 'full')
    await swept(lab)
    assert.deepEqual([await deltas(source), await deltas(first), await deltas(second)], [2, 0, 0])
    await expunge(lab, first)
    await swept(lab)
    assert.equal(await deltas(source), 1)
    const { errortext } = await callJob(lab, 'convertVirtualMachineToFullClone', { virtualmachineid: second })
    assert.equal(errortext, undefined)
    await swept(lab)
    assert.equal(await deltas(source), 0)
    await callJob(lab, 'freezeVirtualMachine', { id: source })
    await aClone(lab, source, 'instant')
    assert.equal(await deltas(source), 0)
  })

  test('beyond the threshold share one instant, which is told; it is given up when fewer stand there', async () => {
    const source = await aTwoDiskMachine(lab)
    await setting(lab, 'instantclone.delta.threshold', 2)
    const early = [await aClone(lab, source, 'instant'), await aClone(lab, source, 'instant')]
    assert.equal(await kept(source), undefined)
    write(lab, source, 'then')
    const third = await aClone(lab, source, 'instant')
    const earlier = cuts()
    write(lab, source, 'later')
    const [fourth, fifth] = await cloned(lab, { virtualmachineid: source, clonetype: 'instant', count: 2 })
    assert.equal(cuts(), earlier)
    for (const id of [third, fourth?.id, fifth?.id] as VmId[])
      assert.deepEqual([...(await found(lab, id)), inMind(lab, id)], ['then', 'then', 'then'])
    assert.deepEqual(await found(lab, source), ['later', 'later'])
    assert.match(
      await toldOf(source, 'VM.FORK'),
      /2 disks stand .* instant clones are made of this instant from now on/,
    )
    assert.match(await toldOf(fifth?.id as VmId, 'VM.CLONE'), /as its source was at .*: that instant is kept/)
    assert.equal(await deltas(source), 2, 'those on the kept instant cost the source nothing')
    const linked = await aClone(lab, source, 'linked')
    assert.deepEqual(await found(lab, linked), ['later', 'later'], 'a linked clone shows the source as it is')
    for (const id of [...early, fourth?.id, linked] as VmId[]) await expunge(lab, id)
    await swept(lab)
    assert.ok(await kept(source), 'it is kept while many stand on it')
    await expunge(lab, third)
    await swept(lab)
    assert.equal(await kept(source), undefined)
    const fresh = await aClone(lab, source, 'instant')
    assert.deepEqual(await found(lab, fresh), ['later', 'later'])
    assert.deepEqual(await found(lab, fifth?.id as VmId), ['then', 'then'])
  })

  test('a kept instant goes when its source is stopped, or has other disks', async () => {
    const source = await aTwoDiskMachine(lab)
    await setting(lab, 'instantclone.delta.threshold', 1)
    for (const _ of [1, 2]) await aClone(lab, source, 'instant')
    const first = await kept(source)
    const [disk] = await listed(lab, 'listVolumes', { virtualmachineid: source, type: 'DATADISK' })
    await callJob(lab, 'detachVolume', { id: String(disk?.['id']) })
    await aClone(lab, source, 'instant')
    const second = await kept(source)
    assert.ok(first && second && first.id !== second.id)
    await stop(lab, source)
    assert.equal(await kept(source), undefined)
    await start(lab, source)
    await swept(lab)
    const left = await lab.app.db.selectFrom('fork').select('id').where('vm_id', '=', source).execute()
    assert.deepEqual(left, [])
  })

  test('without the switch each call holds an instant, up to what the hypervisor takes; a frozen source takes any number', async () => {
    const source = await aTwoDiskMachine(lab)
    await lab.app.db.updateTable('hypervisor_capabilities').set({ most_deltas: 3 }).execute()
    await setting(lab, 'instantclone.delta.threshold', 1)
    await setting(lab, 'instantclone.delta.switch', 'false')
    const first = await cloned(lab, { virtualmachineid: source, clonetype: 'instant', count: 3 })
    const machines = async () => (await lab.app.db.selectFrom('vm').select('id').execute()).length
    const earlier = await machines()
    for (const clonetype of ['instant', 'linked'] as const) {
      const refused = await refusal(lab, 'cloneVirtualMachine', { virtualmachineid: source, clonetype })
      assert.equal(refused['code'], 'too-many-deltas')
      assert.match(String(refused['errortext']), /3 disks of clones stand on .* takes 3 at most.*freezeVirtualMachine/)
    }
    assert.equal(await machines(), earlier)
    await aClone(lab, source, 'full')
    await callJob(lab, 'consolidateVirtualMachine', { virtualmachineid: source })
    await swept(lab)
    assert.equal(await deltas(source), 0)
    await aClone(lab, source, 'linked')
    for (const { id } of first) assert.equal(await stateOf(lab, id), 'Running')
    await callJob(lab, 'freezeVirtualMachine', { id: source })
    await cloned(lab, { virtualmachineid: source, clonetype: 'instant', count: 5 })
  })

  test('by schedule a source that carries many is made independent of what they read, and they notice nothing', async () => {
    const source = await aTwoDiskMachine(lab)
    await setting(lab, 'instantclone.delta.threshold', 2)
    const clones: VmId[] = []
    for (const text of ['one', 'two', 'three', 'four']) {
      write(lab, source, text)
      clones.push(await aClone(lab, source, 'instant'))
    }
    const shown = () => Promise.all([source, ...clones].map(id => found(lab, id)))
    const earlier = await shown()
    assert.deepEqual(
      earlier.map(([root]) => root),
      ['four', 'one', 'two', 'three', 'three'],
    )
    const watch = watchConsolidation({ ...lab.app, log: silentLog }, lab.app.jobs)
    watch.close()
    await watch.sweep(false)
    await quiet(lab)
    assert.ok(await kept(source), 'not at other times')
    await watch.sweep(true)
    await swept(lab)
    assert.deepEqual(await shown(), earlier)
    assert.deepEqual([await deltas(source), await depthOf(lab, source), await kept(source)], [0, 2, undefined])
    for (const id of clones) await expunge(lab, id)
  })

  test('that come and go again and again leave layers and bytes as they were, and a clone that lives meanwhile as it was', async () => {
    const source = await aTwoDiskMachine(lab)
    write(lab, source, 'source')
    await swept(lab)
    const bytes = async () => {
      const rows = await lab.app.db.selectFrom('layer').select('allocated_bytes').execute()
      return rows.reduce((sum, { allocated_bytes }) => sum + allocated_bytes, 0)
    }
    const [layers, held, depth] = [await leftovers(lab), await bytes(), await depthOf(lab, source)]
    const alive = await aClone(lab, source, 'instant')
    write(lab, alive, 'alive')
    const [many, cycles] = [4, 6]
    for (let cycle = 0; cycle < cycles; cycle += 1) {
      const ask = { virtualmachineid: source, clonetype: 'instant', count: many }
      await Promise.all((await cloned(lab, ask)).map(({ id }) => expunge(lab, id)))
    }
    await callJob(lab, 'consolidateVirtualMachine', { virtualmachineid: source })
    await swept(lab)
    assert.deepEqual([...(await found(lab, alive)), inMind(lab, alive)], ['alive', 'alive', 'alive'])
    assert.deepEqual([...(await found(lab, source)), await depthOf(lab, source)], ['source', 'source', depth])
    await expunge(lab, alive)
    await swept(lab)
    assert.deepEqual([await leftovers(lab), await bytes()], [layers, held])
  })
})
