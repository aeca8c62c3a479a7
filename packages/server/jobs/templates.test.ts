// Templates that come and go while machines are made of them.
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { stopTestDatabase } from '../testing/database.ts'
import { eventually } from '../testing/eventually.ts'
import { aDeployment, aTemplate, ended, type Lab, quiet, run, simulatedLab, stateOf } from '../testing/lab.ts'
import { deleteTemplate } from './delete-template.ts'
import { deployVm } from './deploy-vm.ts'
import { expungeVm } from './expunge-vm.ts'

describe('templates', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab()
  })
  afterEach(() => {
    lab.world.delays.clear()
    lab.world.calls.length = 0
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  async function starting(input: Awaited<ReturnType<typeof aDeployment>>) {
    const { id: user, account_id: account } = await lab.app.db.selectFrom('user').selectAll().executeTakeFirstOrThrow()
    return lab.app.jobs.start(lab.app.db, deployVm, input, { command: 'deployVirtualMachine', account, user })
  }

  test('many first deployments at once copy the template once', async () => {
    const template = await aTemplate(lab)
    const inputs = await Promise.all(Array.from({ length: 8 }, () => aDeployment(lab, template)))
    const jobs = await Promise.all(inputs.map(starting))
    for (const job of jobs) assert.equal((await ended(lab, job)).state, 'done')
    assert.equal(lab.world.calls.filter(call => call === 'layers.seed').length, 1)
  })

  test('a linked clone keeps the copy of a deleted template, a full clone does not, and the last one to go takes it along', async () => {
    const template = await aTemplate(lab)
    const clones = []
    for (const cloneType of ['linked', 'linked', 'full'] as const) {
      const input = { ...(await aDeployment(lab, template)), cloneType }
      assert.equal((await run(lab, deployVm, input)).state, 'done')
      clones.push(input)
    }
    const base = lab.world.layers.get(clones[0]?.disks[0]?.layer as never)?.base
    assert.ok(base)
    await run(lab, deleteTemplate, { template })
    await quiet(lab)
    assert.ok(lab.world.layers.has(base))
    await run(lab, expungeVm, { vm: clones[2]?.vm as never, evenRunning: true })
    await run(lab, expungeVm, { vm: clones[0]?.vm as never, evenRunning: true })
    await quiet(lab)
    assert.ok(lab.world.layers.has(base))
    assert.equal(lab.world.machines.get(clones[1]?.vm as never)?.power, 'on')
    await run(lab, expungeVm, { vm: clones[1]?.vm as never, evenRunning: true })
    await quiet(lab)
    assert.ok(!lab.world.layers.has(base))
    const refs = await lab.app.db
      .selectFrom('template_spool_ref')
      .selectAll()
      .where('template_id', '=', template)
      .execute()
    assert.deepEqual(refs, [])
  })

  test('the last two linked clones may go at the same time, and the copy goes with them', async () => {
    const template = await aTemplate(lab)
    const inputs = [await aDeployment(lab, template), await aDeployment(lab, template)]
    for (const input of inputs) await run(lab, deployVm, input)
    const base = lab.world.layers.get(inputs[0]?.disks[0]?.layer as never)?.base
    await run(lab, deleteTemplate, { template })
    const results = await Promise.all(inputs.map(({ vm }) => run(lab, expungeVm, { vm, evenRunning: true })))
    assert.deepEqual(
      results.map(({ state }) => state),
      ['done', 'done'],
    )
    await quiet(lab)
    assert.ok(base && !lab.world.layers.has(base))
  })

  test('a template deleted while it is copied leaves no copy, and the machine that waited for it is in Error', async () => {
    const template = await aTemplate(lab)
    lab.world.delays.set('layers.seed', 300)
    const input = await aDeployment(lab, template)
    const job = await starting(input)
    await eventually('the copy begins', async () => lab.world.calls.includes('layers.seed'))
    assert.equal((await run(lab, deleteTemplate, { template })).state, 'done')
    const failed = await ended(lab, job)
    assert.equal(failed.state, 'failed')
    assert.match(failed.problem?.message ?? '', /has been deleted/)
    assert.equal(await stateOf(lab, input.vm), 'Error')
    await quiet(lab)
    const layers = await lab.app.db
      .selectFrom('template_spool_ref')
      .selectAll()
      .where('template_id', '=', template)
      .execute()
    assert.deepEqual(layers, [])
    assert.ok(lab.world.calls.includes('layers.discard'))
  })

  test('a copy that fails fails every machine that waits for it, with the reason', async () => {
    const template = await aTemplate(lab)
    lab.world.faults.set('layers.seed', 1)
    const inputs = [await aDeployment(lab, template), await aDeployment(lab, template)]
    const jobs = await Promise.all(inputs.map(starting))
    const problems = (await Promise.all(jobs.map(id => ended(lab, id)))).map(
      ({ problem }) => problem?.message ?? 'done',
    )
    assert.ok(
      problems.some(message => message.includes('refuses layers.seed')),
      problems.join(),
    )
    await quiet(lab)
    assert.equal((await run(lab, deployVm, await aDeployment(lab, template))).state, 'done')
  })
})
