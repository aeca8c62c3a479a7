// What a crash costs: the server is killed with -9 at every point that its job runner enumerates, forward and while it
// undoes, and started again. Nothing may be left half done: no job, no process, no file, no state without an end.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { JobDefinition } from '@ramet/server/jobs/define-job.ts'
import { definitions } from '@ramet/server/jobs/definitions.ts'
import { CrashLab } from './lab.ts'
import { type Lane, lanes } from './lanes.ts'

describe('a server killed at any point of a job', () => {
  let lab: CrashLab
  let bystander: { id: string; pid: string }
  let killed = 0

  before(async () => {
    lab = await CrashLab.open()
    const { id } = await lab.world.registerTemplate(lab.image, { name: 'bystander', passwordenabled: false })
    const machine = await lab.world.deploy(id, 'bystander')
    bystander = { id: machine.id, pid: await lab.pidOf(machine.id) }
  })
  after(() => lab.close())

  for (const lane of lanes)
    test(`leaves nothing half done: ${lane.kind}`, async () => {
      const points = await pointsOf(lane)
      assertEveryStepHasOne(lane, points)
      for (const orders of points) await crash(lane, orders)
      assert.deepEqual(await lab.findings(), [], 'after clearing up')
      killed += points.length
    })

  test('was killed at every point of every kind of job, and no other machine noticed', async t => {
    assert.deepEqual(lanes.map(({ kind }) => kind).toSorted(), definitions.map(({ traits }) => traits.kind).toSorted())
    assert.equal(await lab.pidOf(bystander.id), bystander.pid)
    assert.equal((await lab.world.machine(bystander.id)).state, 'Running')
    t.diagnostic(`killed at ${killed} points`)
  })

  /** The orders that kill the server at each point of the lane's job: on its way forward, and on its way back. */
  async function pointsOf(lane: Lane): Promise<string[][]> {
    const forward = await rehearse(lane, [])
    if (!lane.failAt) return forward.map(point => [`kill ${point}`])
    const failing = `fail ${lane.kind}/${lane.failAt}`
    const back = (await rehearse(lane, [failing])).filter(point => !forward.includes(point))
    assert.ok(back.length > 0, `${lane.kind} undoes nothing when it fails at ${lane.failAt}`)
    return [...forward.map(point => [`kill ${point}`]), ...back.map(point => [failing, `kill ${point}`])]
  }

  async function rehearse(lane: Lane, orders: string[]): Promise<string[]> {
    const attempt = await lane.arrange(lab.world, lab.image)
    await lab.order(...orders)
    const points = await lab.pointsOf(attempt.start)
    assert.ok(await lab.obeyed(), `${lane.kind} did not pass ${orders}`)
    await attempt.clear(lab.world)
    return points.filter(point => point.startsWith(`${lane.kind}/`))
  }

  async function crash(lane: Lane, orders: string[]): Promise<void> {
    const attempt = await lane.arrange(lab.world, lab.image)
    await lab.order(...orders)
    const answer = attempt.start().catch(() => null)
    await lab.died()
    assert.ok(await lab.obeyed(), `the server died elsewhere than at ${orders}`)
    const { jobid } = ((await answer) ?? {}) as { jobid?: string }
    await lab.recover()
    if (jobid) await lab.world.client.call('queryAsyncJobResult', { jobid }) // what was acknowledged is still known
    assert.deepEqual(await lab.findings(), [], `after dying at ${orders}`)
    await attempt.clear(lab.world)
  }
})

function assertEveryStepHasOne({ kind }: Lane, points: readonly string[][]): void {
  const { steps } = definitions.find(({ traits }) => traits.kind === kind) as JobDefinition
  for (const { name } of steps)
    assert.ok(points.some(orders => orders.some(order => order.includes(` ${kind}/${name}/`))), `step ${name} of ${kind} has no crash point`)
}
