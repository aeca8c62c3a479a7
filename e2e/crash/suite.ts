// What a crash costs: the server is killed with -9 at the points that its job runner enumerates - before and after each
// durable write and each driver call, forward and while it undoes - and started again. Nothing may be left half done: no
// job, no process, no file, no state without an end.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { definitions } from '@ramet/server/jobs/definitions.ts'
import { CrashLab } from './lab.ts'
import { type Lane, lanes } from './lanes.ts'

/** What the server is told: at most one `fail POINT`, then `kill POINT`. */
type Orders = readonly string[]

export function crashSuite(where: 'every point' | 'the worst moments'): void {
  describe(`a server killed at ${where} of a job`, () => {
    let lab: CrashLab
    let simulated: CrashLab
    let bystander: { id: string; pid: string }
    const counts = { points: 0, killed: 0 }
    const tried: string[] = []

    before(async () => {
      lab = await CrashLab.open()
      simulated = await CrashLab.open(['--simulate', '2'])
      const { id } = await lab.world.registerTemplate(lab.image, { name: 'bystander', passwordenabled: false })
      const machine = await lab.world.deploy(id, 'bystander')
      bystander = { id: machine.id, pid: await lab.pidOf(machine.id) }
    })
    after(async () => {
      await simulated.close()
      await lab.close()
    })

    for (const lane of where === 'every point' ? lanes : lanes.filter(isInEveryRun))
      test(`leaves nothing half done: ${[lane.kind, lane.case].filter(Boolean).join(', ')}`, async () => {
        const on = lane.simulated ? simulated : lab
        const points = await enumerate(on, lane)
        tried.push(...points.flat())
        const chosen = where === 'every point' ? points : inShort(lane, distinct(points))
        assert.ok(chosen.length > 0, `${lane.kind} has no point to be killed at`)
        for (const orders of chosen) await crash(on, lane, orders)
        assert.deepEqual(await on.findings(), [], 'after clearing up')
        counts.points += points.length
        counts.killed += chosen.length
      })

    test('was tried where it should be, and no other machine noticed', async t => {
      const kinds = definitions.map(({ traits }) => traits.kind)
      assert.deepEqual(
        kinds.filter(kind => !lanes.some(lane => lane.kind === kind)),
        [],
        'jobs without a lane',
      )
      if (where === 'every point') assert.deepEqual(stepsWithout(tried), [], 'steps without a crash point')
      assert.equal(await lab.pidOf(bystander.id), bystander.pid)
      assert.equal((await lab.world.machine(bystander.id)).state, 'Running')
      t.diagnostic(`${counts.points} crash points, killed at ${counts.killed} of them`)
    })
  })
}

/** The orders that kill the server at each point of the lane's job: on its way forward, and on its way back. */
async function enumerate(lab: CrashLab, lane: Lane): Promise<Orders[]> {
  const forward = await rehearse(lab, lane, [])
  if (!lane.failAt) return forward.map(point => [`kill ${point}`])
  const failing = `fail ${lane.kind}/${lane.failAt}`
  const back = (await rehearse(lab, lane, [failing])).filter(point => !forward.includes(point))
  assert.ok(back.length > 0, `${lane.kind} undoes nothing when it fails at ${lane.failAt}`)
  return [...forward.map(point => [`kill ${point}`]), ...back.map(point => [failing, `kill ${point}`])]
}

async function rehearse(lab: CrashLab, lane: Lane, orders: Orders): Promise<string[]> {
  const attempt = await lane.arrange(lab.world, lab.image)
  await lab.order(orders)
  const points = await lab.pointsOf(attempt.start)
  assert.ok(await lab.obeyed(), `${lane.kind} did not pass ${orders.join()}`)
  await attempt.clear(lab.world)
  return points.filter(point => point.startsWith(`${lane.kind}/`) && (lane.points?.test(point) ?? true))
}

/** Something is written, or somebody called, only between a `X/before` and the `Y/after` that follows it. */
function distinct(points: readonly Orders[]): Orders[] {
  const isAt = (orders: Orders | undefined, when: string) => orders?.at(-1)?.endsWith(when)
  return points.filter((orders, index) => index === 0 || (isAt(points[index - 1], '/before') && isAt(orders, '/after')))
}

/** Jobs that make, move or remove a disk which somebody has: killed in every run. Of the others it is the long one that kills. */
const handleDisks = new Set([
  'expunge-vm',
  'register-template',
  'remove-layer',
  'restore-vm',
  'attach-volume',
  'migrate-volume',
  'convert-vm',
  'create-vm-snapshot',
  'revert-to-vm-snapshot',
  'fork-vm',
  'freeze-vm',
])

function isInEveryRun({ kind, isModel }: Lane): boolean {
  return isModel === true || handleDisks.has(kind)
}

function inShort({ isModel, inEveryRun }: Lane, points: readonly Orders[]): readonly Orders[] {
  if (isModel) return points
  return worst(points).filter(orders => inEveryRun?.test(orders.at(-1) ?? '') ?? true)
}

/**
 * The worst moments: the world has changed and nobody has written it down. Where a job asks nothing of the world, its
 * transactions are tried. The other states are of one kind in all jobs, and the model shows them.
 */
function worst(points: readonly Orders[]): Orders[] {
  const acted = points.filter(orders => /\/driver\/[^/]+\/after$/.test(orders.at(-1) ?? ''))
  return acted.length > 0 ? acted : [...points]
}

async function crash(lab: CrashLab, lane: Lane, orders: Orders): Promise<void> {
  const attempt = await lane.arrange(lab.world, lab.image)
  await lab.order(orders)
  const answer = attempt.start().catch(() => null)
  await lab.died()
  assert.ok(await lab.obeyed(), `the server died elsewhere than at ${orders.join()}`)
  const acknowledged = (await answer) as { jobid?: string } | null
  await lab.recover()
  if (acknowledged?.jobid) await lab.world.client.call('queryAsyncJobResult', { jobid: acknowledged.jobid })
  assert.deepEqual(await lab.findings(), [], `after dying at ${orders.join()}`)
  await attempt.clear(lab.world)
}

function stepsWithout(orders: readonly string[]): string[] {
  const steps = definitions.flatMap(({ traits, steps: all }) => all.map(({ name }) => `${traits.kind}/${name}/`))
  return steps.filter(step => !orders.some(order => order.includes(` ${step}`)))
}
