// Machines that go on from another's memory become somebody of their own by themselves, whatever happens meanwhile.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { identityProblems as problems } from '@ramet/core/identity.ts'
import type { VmId } from '@ramet/core/ids.ts'
import { runningIn } from '../drivers/simulated/world.ts'
import { deployVm } from '../jobs/deploy-vm.ts'
import { startVm } from '../jobs/start-vm.ts'
import { stopVm } from '../jobs/stop-vm.ts'
import { vmById } from '../store/vms.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { eventually } from '../testing/eventually.ts'
import { aDeployment, aTemplate, type Lab, run, simulatedLab } from '../testing/lab.ts'

describe('the watch over identities', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab()
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  /** Running, and not confirmed to be somebody of its own. */
  async function aClone(): Promise<VmId> {
    const input = await aDeployment(lab, await aTemplate(lab))
    await lab.app.db.updateTable('vm').set({ customized: false }).where('id', '=', input.vm).execute()
    assert.equal((await run(lab, deployVm, input)).state, 'done')
    return input.vm
  }

  async function told(vm: VmId): Promise<string[]> {
    const events = lab.app.db.selectFrom('event').select('description').where('resource_id', '=', vm)
    return (await events.where('type', '=', 'VM.CUSTOMIZE').orderBy('sequence').execute()).map(row => row.description)
  }

  async function identityOf(vm: VmId): Promise<readonly [boolean | undefined, string[] | undefined]> {
    const row = await vmById(lab.app.db, vm)
    return [row?.customized, row?.identity_problems]
  }

  const begun = () => lab.world.calls.filter(name => name === 'machines.customize').length
  const isCustomized = (vm: VmId) =>
    eventually('it is customized', async () => ((await identityOf(vm))[0] ? true : null))
  const problemsOf = (vm: VmId) =>
    eventually('problems are named', async () => {
      const [, named] = await identityOf(vm)
      return named && named.length > 0 ? named : null
    })

  test('a clone is customized once it runs, under its own name and instance, and an event tells', async () => {
    const vm = await aClone()
    await isCustomized(vm)
    assert.deepEqual(await identityOf(vm), [true, []])
    const hostname = (await vmById(lab.app.db, vm))?.name
    assert.deepEqual(runningIn(lab.world, vm)?.guest, { instanceId: vm, hostname })
    assert.equal((await told(vm)).length, 1)
  })

  test('a machine that booted by itself is left alone', async () => {
    const input = await aDeployment(lab, await aTemplate(lab))
    await run(lab, deployVm, input)
    await isCustomized(await aClone())
    assert.equal(runningIn(lab.world, input.vm)?.guest, undefined)
    assert.deepEqual([await identityOf(input.vm), await told(input.vm)], [[true, []], []])
  })

  test('what could not be confirmed is named, and it is tried again until all is', async () => {
    lab.world.identityProblems = [problems.noAgent]
    const vm = await aClone()
    assert.deepEqual(await problemsOf(vm), [problems.noAgent])
    lab.world.identityProblems = [problems.rng, problems.clock]
    await eventually('half of it is done', async () => ((await problemsOf(vm)).length === 2 ? true : null))
    lab.world.identityProblems = []
    await isCustomized(vm)
    assert.deepEqual(await identityOf(vm), [true, []])
    const [first, second, last, ...more] = await told(vm)
    assert.match(first ?? '', /not customized yet: guest agent does not answer$/)
    assert.match(second ?? '', /RNG state shared with source; clock is not set$/)
    assert.match(last ?? '', /is customized/)
    assert.deepEqual(more, [])
  })

  test('a hypervisor that fails is asked again', async () => {
    lab.world.faults.set('machines.customize', 1)
    await isCustomized(await aClone())
    assert.equal(lab.world.faults.get('machines.customize'), 0)
  })

  test('the next server goes on', async () => {
    lab.world.delays.set('machines.customize', 600_000)
    const earlier = begun()
    const vm = await aClone()
    await eventually('it is begun', async () => begun() > earlier)
    lab.world.delays.clear()
    await lab.restart()
    await isCustomized(vm)
  })

  test('one that goes off first boots with a seed of its own, and nothing is left to confirm', async () => {
    lab.world.identityProblems = [problems.noAgent]
    const vm = await aClone()
    await problemsOf(vm)
    await run(lab, stopVm, { vm, forced: true })
    assert.deepEqual(await identityOf(vm), [true, []])
    await run(lab, startVm, { vm, host: undefined, pod: undefined, cluster: undefined })
    assert.deepEqual(await identityOf(vm), [true, []])
    lab.world.identityProblems = []
  })

  test('nothing is written about a machine that is another by the time the guest answers', async () => {
    lab.world.delays.set('machines.customize', 500)
    const earlier = begun()
    const vm = await aClone()
    await eventually('it is begun', async () => begun() > earlier)
    await lab.app.db.updateTable('vm').set({ name: 'renamed' }).where('id', '=', vm).execute()
    await isCustomized(vm)
    lab.world.delays.clear()
    assert.equal(runningIn(lab.world, vm)?.guest?.hostname, 'renamed')
    assert.equal((await told(vm)).length, 1)
  })
})
