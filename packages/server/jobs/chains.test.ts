// Conversions to full clones, and chains that are kept short, on a simulated hypervisor with real contents: what counts is what
// every machine and every VM snapshot shows, before and afterwards.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import type { LayerId, VmId, VolumeId } from '@ramet/core/ids.ts'
import { call, callJob, listed } from '../testing/call.ts'
import { activeLayer, aLongChain, aVolumeOn, depthOf, shownBy } from '../testing/chains.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { eventually } from '../testing/eventually.ts'
import { type Lab, quiet, simulatedLab, stateOf } from '../testing/lab.ts'
import {
  aTree,
  aTwoDiskMachine,
  found,
  inMind,
  mixed,
  refusal,
  remove,
  revert,
  setting,
  stop,
  take,
  write,
} from '../testing/vm-snapshots.ts'
import { aMachine } from '../testing/volumes.ts'
import { layerChain } from '../store/layers.ts'
import { volumeById } from '../store/volumes.ts'
import { watchConsolidation } from '../watch/consolidation.ts'
import { silentLog } from '../log.ts'

describe('a linked clone becomes a full one', () => {
  let lab: Lab
  before(async () => void (lab = await simulatedLab()))
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const convert = (vm: VmId) => callJob(lab, 'convertVirtualMachineToFullClone', { virtualmachineid: vm })
  const templateOf = async (vm: VmId) =>
    (await lab.app.db.selectFrom('vm').select('template_id').where('id', '=', vm).executeTakeFirstOrThrow()).template_id
  const baseOf = async (vm: VmId) => {
    const copy = await lab.app.db
      .selectFrom('template_spool_ref')
      .select('layer_id')
      .where('template_id', '=', await templateOf(vm))
      .executeTakeFirst()
    return copy?.layer_id ?? null
  }

  for (const state of ['Running', 'Stopped'] as const)
    test(`while it is ${state}: it keeps its id and its contents, and the template's copy can go`, async () => {
      const vm = await aTwoDiskMachine(lab)
      write(lab, vm, 'kept')
      if (state === 'Stopped') await stop(lab, vm)
      const base = await baseOf(vm)
      const planned = await call(lab, 'convertVirtualMachineToFullClone', { virtualmachineid: vm, dryrun: true })
      assert.deepEqual((planned['plan'] as { steps: unknown[] }).steps.length, 1) // the data disk stands on nothing
      assert.equal(await depthOf(lab, vm), 2)
      const answer = (await convert(vm))['virtualmachine'] as Record<string, unknown>
      assert.deepEqual(
        ['id', 'state', 'clonetype', 'chaindepth', 'sharedbytes'].map(field => answer[field]),
        [vm, state, 'full', 1, 0],
      )
      assert.deepEqual(await found(lab, vm), ['kept', 'kept'])
      if (state === 'Running') assert.equal(inMind(lab, vm), 'kept')
      await callJob(lab, 'deleteTemplate', { id: (await templateOf(vm)) ?? '' })
      await quiet(lab)
      assert.ok(base && !lab.world.layers.has(base), 'the copy is still there')
      assert.deepEqual(await found(lab, vm), ['kept', 'kept'])
      const again = (await convert(vm))['virtualmachine'] as Record<string, unknown>
      assert.equal(again['chaindepth'], 1)
    })

  test('with a tree of VM snapshots: each can still be reverted to, and none stands on the template', async () => {
    const { vm, A, B, C } = await aTree(lab, mixed)
    const base = await baseOf(vm)
    await convert(vm)
    assert.deepEqual(await found(lab, vm), ['later', 'later'])
    await callJob(lab, 'deleteTemplate', { id: (await templateOf(vm)) ?? '' })
    await quiet(lab)
    assert.ok(base && !lab.world.layers.has(base))
    for (const [id, text] of [
      [B, 'b'],
      [A, 'a'],
      [C, 'c'],
    ] as const) {
      await revert(lab, id)
      assert.deepEqual(await found(lab, vm), [text, text])
    }
    const [shown] = await listed(lab, 'listVirtualMachines', { id: vm })
    assert.equal(shown?.['clonetype'], 'full')
  })

  test('not while one of its VM snapshots carries disks of others: that is said, and nothing changes', async () => {
    const { vm } = await aMachine(lab, 'Running')
    const layer = await activeLayer(lab, vm)
    const snapshot = await take(lab, vm, 'shared')
    await aVolumeOn(lab, layer)
    const refused = await refusal(lab, 'convertVirtualMachineToFullClone', { virtualmachineid: vm })
    assert.equal(refused['code'], 'vm-snapshot-shared')
    assert.match(String(refused['errortext']), /VM snapshot shared of .* carries disks of other machines/)
    await remove(lab, snapshot)
    await convert(vm)
    assert.equal(await depthOf(lab, vm), 1)
  })

  test('who wants to stand on one of its VM snapshots waits until it is done', async () => {
    const { vm, root } = await aMachine(lab, 'Running')
    const base = await baseOf(vm)
    const vmsnapshotid = await take(lab, vm, 'wanted')
    await setting(lab, 'simulated.copy.mibps', 64)
    const { jobid } = await call(lab, 'convertVirtualMachineToFullClone', { virtualmachineid: vm })
    await eventually('it copies', async () => ((await jobOf(lab, jobid)).percent > 0 ? true : null))
    const given = { name: 'made', vmsnapshotid, volumeid: root, clonetype: 'linked' }
    const { volume, errortext } = await callJob(lab, 'createVolume', given)
    assert.ok(volume, String(errortext))
    assert.equal((await jobOf(lab, jobid)).state, 'done')
    await setting(lab, 'simulated.copy.mibps', 0)
    const { layer_id: layer } = (await volumeById(lab.app.db, (volume as { id: VolumeId }).id)) as { layer_id: LayerId }
    assert.ok(!(await layerChain(lab.app.db, layer)).some(({ id }) => id === base))
  })

  test('cancelled half way it is as it was, and the same request finishes it', async () => {
    const { vm } = await aMachine(lab, 'Running')
    const base = await activeLayer(lab, vm)
    await setting(lab, 'simulated.copy.mibps', 1)
    const { jobid } = await call(lab, 'convertVirtualMachineToFullClone', { virtualmachineid: vm })
    await eventually('it copies', async () => {
      const { percent } = await jobOf(lab, jobid)
      return percent > 0 ? true : null
    })
    await call(lab, 'cancelJob', { jobid: String(jobid) })
    await eventually('it is cancelled', async () => ((await jobOf(lab, jobid)).state === 'cancelled' ? true : null))
    await setting(lab, 'simulated.copy.mibps', 0)
    assert.deepEqual([await depthOf(lab, vm), await activeLayer(lab, vm), await stateOf(lab, vm)], [2, base, 'Running'])
    assert.equal((await listed(lab, 'listVirtualMachines', { id: vm }))[0]?.['clonetype'], 'linked')
    await convert(vm)
    assert.equal(await depthOf(lab, vm), 1)
  })
})

describe('chains are kept short', () => {
  let lab: Lab
  before(async () => void (lab = await simulatedLab()))
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })
  beforeEach(async () => {
    await limits(lab, { longest_chain: 32, consolidate_at: 16 })
    await setting(lab, 'consolidation.mibps', 0)
  })

  test('on demand: what others read stays as it is for them', async () => {
    const { vm, others } = await aLongChain(lab, 3)
    assert.equal(await depthOf(lab, vm), 5)
    const shown = await Promise.all(others.map(each => shownBy(lab, each)))
    await callJob(lab, 'consolidateVirtualMachine', { virtualmachineid: vm })
    await quiet(lab)
    assert.equal(await depthOf(lab, vm), 2)
    assert.deepEqual(await Promise.all(others.map(each => shownBy(lab, each))), shown)
    assert.deepEqual(shown.at(-1), { 0: 'block 0', 1: 'block 1', 2: 'block 2' })
    assert.deepEqual(await contentOf(lab, vm), shown.at(-1))
  })

  test('layers that VM snapshots name stay, which the answer says', async () => {
    const { vm } = await aLongChain(lab, 1)
    await take(lab, vm, 'named')
    const { plan } = await call(lab, 'consolidateVirtualMachine', { virtualmachineid: vm, dryrun: true })
    assert.equal((plan as Record<string, unknown>)['keptbyvmsnapshots'], 1)
    assert.deepEqual((plan as Record<string, unknown>)['vmsnapshots'], ['named'])
    const { jobid } = await call(lab, 'consolidateVirtualMachine', { virtualmachineid: vm })
    await quiet(lab)
    assert.equal(await depthOf(lab, vm), 3)
    assert.match(String((await jobOf(lab, jobid)).result?.['outcome']), /1 stay: VM snapshots name them \(named\)/)
  })

  test('no faster than consolidation.mibps says; cancelled half way all show the same, and a repeat finishes it', async () => {
    const { vm, others } = await aLongChain(lab, 2)
    await setting(lab, 'consolidation.mibps', 1)
    const { jobid } = await call(lab, 'consolidateVirtualMachine', { virtualmachineid: vm })
    await eventually('it copies', async () => ((await jobOf(lab, jobid)).percent > 0 ? true : null))
    await call(lab, 'cancelJob', { jobid: String(jobid) })
    await eventually('it is cancelled', async () => ((await jobOf(lab, jobid)).state === 'cancelled' ? true : null))
    const shown = async () => [await contentOf(lab, vm), await shownBy(lab, others.at(-1) as VolumeId)]
    const both = { 0: 'block 0', 1: 'block 1' }
    assert.deepEqual([await depthOf(lab, vm), ...(await shown())], [4, both, both])
    await setting(lab, 'consolidation.mibps', 0)
    await callJob(lab, 'consolidateVirtualMachine', { virtualmachineid: vm })
    await quiet(lab)
    assert.deepEqual([await depthOf(lab, vm), ...(await shown())], [2, both, both])
  })

  test('by itself once so many layers have no name, and not before', async () => {
    const watch = watchConsolidation({ db: lab.app.db, settings: lab.app.settings, log: silentLog }, lab.app.jobs)
    watch.close()
    const { vm } = await aLongChain(lab, 3)
    await limits(lab, { consolidate_at: 4 })
    for (const all of [false, true]) {
      await watch.sweep(all)
      await quiet(lab)
      assert.equal(await depthOf(lab, vm), 5)
    }
    await limits(lab, { consolidate_at: 3 })
    await watch.sweep(false)
    await quiet(lab)
    assert.equal(await depthOf(lab, vm), 2)
  })

  test('one that is too long is refused another layer, with the ways out', async () => {
    const { vm } = await aMachine(lab, 'Running')
    for (const name of ['one', 'two']) await take(lab, vm, name)
    await limits(lab, { longest_chain: 4 })
    const { errortext } = await refusal(lab, 'createVMSnapshot', { virtualmachineid: vm, name: 'three' })
    assert.match(
      String(errortext),
      /4 layers already, and Simulator takes 4 at most\. 2 of them are named by VM snapshots/,
    )
    assert.equal(await depthOf(lab, vm), 4)
    await callJob(lab, 'convertVirtualMachineToFullClone', { virtualmachineid: vm })
    await take(lab, vm, 'four')
  })

  test('a schedule that is none is refused', async () => {
    const { errortext } = await refusal(lab, 'updateConfiguration', { name: 'consolidation.schedule', value: 'daily' })
    assert.match(String(errortext), /five fields/)
  })
})

async function limits(lab: Lab, set: { longest_chain?: number; consolidate_at?: number }) {
  await lab.app.db.updateTable('hypervisor_capabilities').set(set).execute()
}

async function jobOf(lab: Lab, id: unknown) {
  return lab.app.db
    .selectFrom('job')
    .selectAll()
    .where('id', '=', id as never)
    .executeTakeFirstOrThrow()
}

async function contentOf(lab: Lab, vm: VmId) {
  const { id } = await lab.app.db
    .selectFrom('volume')
    .select('id')
    .where('layer_id', '=', await activeLayer(lab, vm))
    .executeTakeFirstOrThrow()
  return shownBy(lab, id)
}
