// The runner itself: order, waiting, cancelling, getting stuck and out again, and what two servers do to one job.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type JobId, newId } from '@ramet/core/ids.ts'
import type { Problem } from '@ramet/core/problem.ts'
import { simulatedDriver } from '../drivers/simulated/driver.ts'
import { silentLog } from '../log.ts'
import { freshMs } from '../store/jobs.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { eventually } from '../testing/eventually.ts'
import { ended, type Lab, run, simulatedLab } from '../testing/lab.ts'
import { noCrashPoints } from './crash-points.ts'
import { defineJob, nothing, WaitForJob } from './define-job.ts'
import { createRunner } from './runner.ts'

interface Script {
  readonly key: string
  readonly waitFor?: JobId
}

const someId = newId<'nothing'>()

/** What the test jobs do; each test sets what it needs. */
const play = {
  act: async (_signal: AbortSignal, _key: string) => {},
  undo: async (_signal: AbortSignal) => {},
  end: async () => {},
  result: (): Record<string, unknown> => ({ told: 42 }),
  failure: async () => {},
  log: [] as string[],
}

const scripted = defineJob<Script>({
  kind: 'scripted',
  event: 'TEST',
  doing: 'testing',
  instanceType: 'None',
  cancellable: true,
  lock: ({ key }) => key,
  instance: () => someId,
})
  .record('begin', {
    do: async ({ input }) => void play.log.push(`begin ${input.key}`),
    undo: async ({ input }) => void play.log.push(`undo begin ${input.key}`),
  })
  .act('act', {
    do: async ({ input, job, signal }) => {
      if (input.waitFor && job.waits_for !== input.waitFor) throw new WaitForJob(input.waitFor)
      await play.act(signal, input.key)
      play.log.push(`act ${input.key}`)
      return { told: 42 }
    },
    undo: async ({ input, signal }) => {
      await play.undo(signal)
      play.log.push(`undo act ${input.key}`)
    },
  })
  .record('end', {
    do: async ({ input, made }) => {
      await play.end()
      play.log.push(`end ${input.key} ${made.act.told}`)
    },
    undo: nothing('it is the last'),
  })
  .returning(() => play.result())
  .whenItFails(async () => play.failure())

describe('the job runner', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab()
    await lab.restart({ definitions: [scripted] })
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  function script(changes: Partial<typeof play> = {}): void {
    const usual = {
      act: async () => {},
      undo: async () => {},
      end: async () => {},
      result: () => ({ told: 42 }),
      failure: async () => {},
    }
    Object.assign(play, { ...usual, log: [], ...changes })
  }

  async function start(input: Script): Promise<JobId> {
    const { id: user, account_id: account } = await lab.app.db.selectFrom('user').selectAll().executeTakeFirstOrThrow()
    return lab.app.jobs.start(lab.app.db, scripted, input, { command: 'test', account, user })
  }

  test('walks the steps in order and keeps the result', async () => {
    script()
    const job = await run(lab, scripted, { key: 'a' })
    assert.deepEqual(play.log, ['begin a', 'act a', 'end a 42'])
    assert.deepEqual([job.state, job.percent, job.result], ['done', 100, { told: 42 }])
  })

  test('runs jobs of one key one at a time, oldest first, and others beside them', async () => {
    const gate = Promise.withResolvers<void>()
    script({ act: (_, key) => (key === 'one' ? gate.promise : Promise.resolve()) })
    const ids = [await start({ key: 'one' }), await start({ key: 'one' })]
    await eventually('the first begins', async () => play.log.includes('begin one'))
    assert.equal((await run(lab, scripted, { key: 'other' })).state, 'done')
    assert.deepEqual(play.log, ['begin one', 'begin other', 'act other', 'end other 42'])
    gate.resolve()
    for (const id of ids) assert.equal((await ended(lab, id)).state, 'done')
    assert.deepEqual(play.log.slice(4), ['act one', 'end one 42', 'begin one', 'act one', 'end one 42'])
  })

  test('a job that waits for another goes on when that has ended, and holds no place meanwhile', async () => {
    const gate = Promise.withResolvers<void>()
    script({ act: () => gate.promise })
    const awaited = await start({ key: 'awaited' })
    const waiting = await start({ key: 'waiting', waitFor: awaited })
    await eventually(
      'it waits',
      async () =>
        (await lab.app.db.selectFrom('job').select('waits_for').where('id', '=', waiting).executeTakeFirst())
          ?.waits_for === awaited,
    )
    gate.resolve()
    assert.equal((await ended(lab, waiting)).state, 'done')
    assert.ok(play.log.indexOf('end awaited 42') < play.log.indexOf('act waiting'))
  })

  test('a cancelled job is undone, and its undo is not itself cancelled', async () => {
    const began = Promise.withResolvers<void>()
    script({
      act: signal =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error))
          began.resolve()
        }),
      undo: async signal => signal.throwIfAborted(),
    })
    const id = await start({ key: 'cancelled' })
    await began.promise
    await lab.app.db.updateTable('job').set({ cancel_asked: true }).where('id', '=', id).execute()
    lab.app.jobs.cancel(id)
    assert.equal((await ended(lab, id)).state, 'cancelled')
    assert.deepEqual(play.log, ['begin cancelled', 'undo act cancelled', 'undo begin cancelled'])
  })

  test('an undo that fails leaves the job stuck, in plain sight, and it can be tried again', async () => {
    const fail = async () => Promise.reject(new Error('it does not work'))
    script({ act: fail, undo: async () => Promise.reject(new Error('the undo neither')) })
    const stuck = await run(lab, scripted, { key: 'stuck' })
    assert.equal(stuck.state, 'stuck')
    assert.match(stuck.problem?.message ?? '', /it does not work.*the undo neither.*retryJob/)
    script()
    const behind = start({ key: 'stuck' })
    await assert.rejects(behind, ({ code, message }: Problem) => {
      assert.equal(code, 'job-stuck')
      assert.ok(message.includes(`retryJob jobid=${stuck.id}`) && message.includes('the undo neither'))
      return true
    })
    await lab.app.db.updateTable('job').set({ state: 'undoing' }).where('id', '=', stuck.id).execute()
    lab.app.jobs.kick()
    const settled = await eventually('it ends', async () => {
      const job = await lab.app.db.selectFrom('job').selectAll().where('id', '=', stuck.id).executeTakeFirstOrThrow()
      return job.completed ? job : null
    })
    assert.equal(settled.state, 'failed')
    assert.match(settled.problem?.message ?? '', /it does not work/)
  })

  test('what an act made is kept when the record after it fails, and the act is undone', async () => {
    script({ end: async () => Promise.reject(new Error('no record of it')) })
    const job = await run(lab, scripted, { key: 'unrecorded' })
    assert.equal(job.state, 'failed')
    assert.deepEqual(play.log, ['begin unrecorded', 'act unrecorded', 'undo act unrecorded', 'undo begin unrecorded'])
    const steps = await lab.app.db
      .selectFrom('job_step')
      .select(['step', 'made'])
      .where('job_id', '=', job.id)
      .execute()
    assert.deepEqual(steps.find(({ step }) => step === 'act')?.made, { told: 42 })
  })

  test('a result that cannot be told undoes the job, and what breaks after a failure leaves it stuck', async () => {
    const broken = () => {
      throw new Error('broken')
    }
    script({ result: broken })
    assert.equal((await run(lab, scripted, { key: 'untold' })).state, 'failed')
    script({ result: broken, failure: async () => broken() })
    assert.equal((await run(lab, scripted, { key: 'broken' })).state, 'stuck')
  })

  test('many jobs at once are neither lost nor taken for cancelled while leases are renewed', async () => {
    script({ act: () => new Promise(resolve => setTimeout(resolve, 5)) })
    const other = secondRunner(lab, { leaseMs: 2 * freshMs, renewMs: 50 })
    const ids = await Promise.all(Array.from({ length: 200 }, (_, index) => start({ key: `many ${index}` })))
    const states = new Set((await Promise.all(ids.map(id => ended(lab, id)))).map(({ state }) => state))
    await other.close()
    assert.deepEqual([...states], ['done'])
  })

  test('a server that lost its lease writes nothing more; the next one finishes the job', async () => {
    const slept = Promise.withResolvers<void>()
    let acts = 0
    script({ act: () => (++acts === 1 ? slept.promise : Promise.resolve()) })
    const id = await start({ key: 'slept' })
    await eventually('the first server is at work', async () => acts === 1)
    await lab.app.db
      .updateTable('job')
      .set({ lease_until: new Date(0) })
      .where('id', '=', id)
      .execute()
    const other = secondRunner(lab)
    other.kick()
    const job = await ended(lab, id)
    slept.resolve()
    await other.close()
    assert.deepEqual([job.state, acts], ['done', 2])
    assert.equal(play.log.filter(line => line.startsWith('end slept')).length, 1)
  })
})

/** Another server over the same database. */
function secondRunner(lab: Lab, lease: { leaseMs?: number; renewMs?: number } = {}) {
  const { db, settings, passwords } = lab.app
  const tools = { db, settings, passwords, log: silentLog, driver: simulatedDriver(lab.world) }
  return createRunner({
    tools,
    definitions: [scripted],
    crashPoints: noCrashPoints,
    onEnd: () => {},
    ...lease,
    pollMs: 20,
  })
}
