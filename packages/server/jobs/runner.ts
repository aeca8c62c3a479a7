// Runs jobs: claims one, walks its steps, undoes them when one fails. All it knows is on disk, so that another server, or
// this one after a crash, goes on where it stopped. One claim is worked on by one `JobRun` (run.ts).
import { newId, type JobId } from '@ramet/core/ids.ts'
import type { Driver } from '../drivers/driver.ts'
import type { Db, Tx } from '../store/database.ts'
import { claimJobs, expireJobs, freshMs, insertScheduled, releaseLeases, renewLeases } from '../store/jobs.ts'
import { eventRow } from '../store/events.ts'
import type { Row } from '../store/tables.ts'
import type { RunSignals } from './claimed-job.ts'
import type { CrashPoints } from './crash-points.ts'
import { eventOf, type JobDefinition } from './define-job.ts'
import { runJob } from './run.ts'
import type { JobOrigin, Tools } from './tools.ts'

export interface RunnerOptions {
  readonly tools: Omit<Tools, 'jobs'>
  /** The driver that a job works with; that of the tools when absent. */
  readonly driverOf?: (job: Row<'job'>) => Promise<Driver>
  readonly definitions: readonly JobDefinition[]
  readonly crashPoints: CrashPoints
  /** Called after a job has ended or got stuck. */
  readonly onEnd: (job: Row<'job'>) => void
  /** How long a silent server keeps its jobs; well above `freshMs`, or no act could ever begin under such a lease. */
  readonly leaseMs?: number
  readonly renewMs?: number
  readonly pollMs?: number
}

export interface Runner {
  readonly serverId: string
  start<Input>(db: Db, definition: JobDefinition<Input>, input: Input, origin: JobOrigin): Promise<JobId>
  /** Looks for work now; called after every commit that may have made some. */
  kick(): void
  /** Tells the runner that a person wants `job` to end. */
  cancel(job: JobId): void
  /** Lets running steps end or abort, starts no new ones, and gives the leases back. */
  close(): Promise<void>
}

interface Running {
  /** A person wants the job undone. */
  readonly cancel: AbortController
  /** This server must let go of the job: the lease is lost, or the server closes. */
  readonly letGo: AbortController
  readonly end: Promise<void>
}

const most = 256 // jobs at once; what is scarce (starts, copies) is limited where it is done

export function createRunner(options: RunnerOptions): Runner {
  const { tools, definitions, leaseMs = 10_000, renewMs = leaseMs / 4, pollMs = 1_000 } = options
  if (leaseMs < 2 * freshMs) throw new RangeError(`under a lease of ${leaseMs} ms no act could begin`)
  const serverId = newId<'server'>()
  const running = new Map<JobId, Running>()
  let looking: Promise<void> | null = null
  let again = false
  let closed = false

  const runner: Runner = {
    serverId,
    start: (db, definition, input, origin) =>
      db.isTransaction
        ? insertJob(db as Tx, definition, input, origin)
        : db.transaction().execute(tx => insertJob(tx, definition, input, origin)),
    kick() {
      if (closed) return
      again = true
      looking ??= look().finally(() => {
        looking = null
      })
    },
    cancel: job => running.get(job)?.cancel.abort(),
    async close() {
      closed = true
      clearInterval(poll)
      clearInterval(renewal)
      clearInterval(expiry)
      for (const { letGo } of running.values()) letGo.abort()
      await looking
      await Promise.allSettled([...running.values()].map(({ end }) => end))
      await releaseLeases(tools.db, serverId)
    },
  }

  async function look(): Promise<void> {
    while (again && !closed) {
      again = false
      try {
        while (running.size < most && !closed) {
          const places = most - running.size
          const claimed = await claimJobs(tools.db, serverId, leaseMs, [...running.keys()], places)
          for (const job of claimed) begin(job)
          if (claimed.length < places) break
        }
      } catch (error) {
        tools.log.error({ err: error }, 'cannot look for jobs')
      }
    }
  }

  function begin(job: Row<'job'>): void {
    const [cancel, letGo] = [new AbortController(), new AbortController()]
    const entry = { cancel, letGo, end: work(job, { cancel: cancel.signal, letGo: letGo.signal }) }
    running.set(job.id, entry)
    void entry.end.finally(() => {
      // A job that waited may have been claimed anew before its first run was put away.
      if (running.get(job.id) === entry) running.delete(job.id)
      runner.kick()
    })
  }

  async function work(job: Row<'job'>, signals: RunSignals): Promise<void> {
    const definition = definitions.find(each => each.traits.kind === job.kind)
    if (!definition) return tools.log.error({ job: job.id, kind: job.kind }, 'no such kind of job')
    try {
      const driver = (await options.driverOf?.(job)) ?? tools.driver
      const end = await runJob({ ...options, tools: { ...tools, driver, jobs: runner } }, definition, job, signals)
      if (end) options.onEnd(end)
    } catch (error) {
      tools.log.error({ err: error, job: job.id }, 'job interrupted; whoever claims it next goes on')
    }
  }

  /** Only what ran before the question was asked: a job claimed meanwhile is not in the answer, and not lost. */
  async function renew(): Promise<void> {
    const asked = [...running]
    if (asked.length === 0) return
    const ids = asked.map(([id]) => id)
    const held = await renewLeases(tools.db, serverId, ids, leaseMs)
    for (const [id, { letGo }] of asked) if (!held.has(id)) letGo.abort()
  }

  const poll = setInterval(runner.kick, pollMs)
  const renewal = setInterval(() => {
    renew().catch(error => tools.log.error({ err: error }, 'cannot renew leases'))
  }, renewMs)
  const expiry = setInterval(() => {
    expire().catch(error => tools.log.error({ err: error }, 'cannot expire jobs'))
  }, 60_000)
  for (const timer of [poll, renewal, expiry]) timer.unref()

  async function expire(): Promise<void> {
    await expireJobs(tools.db, tools.settings.number('job.expire.minutes'))
  }

  return runner
}

/** The insertion is told to every server once it is committed, and wakes them (watch/changes.ts). */
async function insertJob<Input>(
  db: Tx,
  { traits }: JobDefinition<Input>,
  input: Input,
  origin: JobOrigin,
): Promise<JobId> {
  const id = newId<'job'>()
  const instance = traits.instance(input)
  const scheduled = eventRow({
    type: eventOf(traits, input),
    state: 'Scheduled',
    description: `${traits.doing}: ${instance}`,
    account: origin.account,
    user: origin.user,
    resourceType: traits.instanceType,
    resource: instance,
  })
  await insertScheduled(db, scheduled, {
    id,
    kind: traits.kind,
    command: origin.command,
    account_id: origin.account,
    user_id: origin.user,
    lock_key: traits.lock(input),
    instance_type: traits.instanceType,
    instance_id: instance,
    input: JSON.stringify(input),
    state: 'queued',
    start_event_id: scheduled.id,
  })
  return id
}
