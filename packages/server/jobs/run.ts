// One claim of one job: forward through its steps, or backward through their undos, from wherever the record says.
import { Problem, asProblem, restoreProblem, storeProblem } from '@ramet/core/problem.ts'
import { inTransaction, type Tx } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import * as store from '../store/jobs.ts'
import type { Row } from '../store/tables.ts'
import type { CrashPoints } from './crash-points.ts'
import {
  eventOf,
  type JobDefinition,
  type RecordContext,
  type Step,
  type StepContext,
  WaitForJob,
} from './define-job.ts'
import { guardDriver } from './guarded-driver.ts'
import type { Tools } from './tools.ts'

export interface RunOptions {
  readonly tools: Tools
  readonly crashPoints: CrashPoints
}

export interface RunSignals {
  /** A person wants the job undone: heard on the way forward only. */
  readonly cancel: AbortSignal
  /** The lease is lost or the server closes: what is interrupted by it is no failure, whoever claims the job next goes on. */
  readonly letGo: AbortSignal
}

type AnyContext = StepContext<unknown, Record<string, unknown>>

/** Works on `job` until it ends, waits or gets stuck. Returns its row when it ended or got stuck. */
export async function runJob(
  options: RunOptions,
  definition: JobDefinition,
  job: Row<'job'>,
  signals: RunSignals,
): Promise<Row<'job'> | null> {
  const run = new JobRun(options, definition, job, signals)
  if (job.state === 'undoing') await run.backward(restoreProblem(job.problem as NonNullable<Row<'job'>['problem']>))
  else await run.forward()
  if (run.waiting) return null
  return (await options.tools.db.selectFrom('job').selectAll().where('id', '=', job.id).executeTakeFirst()) ?? null
}

class JobRun {
  waiting = false
  readonly #options: RunOptions
  readonly #definition: JobDefinition
  readonly #job: Row<'job'>
  readonly #signals: RunSignals
  readonly #tools: Tools
  #made: Record<string, unknown> = {}
  #problem: Problem | null = null
  #ended = false

  constructor(options: RunOptions, definition: JobDefinition, job: Row<'job'>, signals: RunSignals) {
    this.#options = options
    this.#definition = definition
    this.#job = job
    this.#signals = signals
    this.#tools = { ...options.tools, driver: guardDriver(options.tools.driver, this.#guard()) }
  }

  async forward(): Promise<void> {
    const isFirstClaim = this.#job.fence === 1
    const steps = isFirstClaim ? new Map<string, never>() : await store.stepsOf(this.#db, this.#job.id)
    if (isFirstClaim) await this.#tell('Started', 'INFO', '')
    for (const step of this.#definition.steps) {
      const noted = steps.get(step.name)
      if (noted?.phase === 'done') this.#made = { ...this.#made, [step.name]: noted.made }
      else if (step.when && !step.when(this.#made as never)) continue
      else if (!(await this.#advance(step))) return
    }
    if (!this.#ended) await this.#write('end', tx => this.#end(tx, 'done', null))
  }

  /** Runs one step; false when the job does not go forward from here. */
  async #advance(step: Step): Promise<boolean> {
    try {
      const made = step.sort === 'record' ? await this.#record(step) : await this.#act(step)
      this.#made = { ...this.#made, [step.name]: made }
      return true
    } catch (error) {
      if (error instanceof WaitForJob) await this.#wait(error)
      else await this.#turnBack(step, error)
      return false
    }
  }

  /** The last step, if it is a record, ends the job in the same transaction. */
  async #record(step: Step): Promise<unknown> {
    const isLast = step === this.#definition.steps.at(-1)
    const made = await this.#write(`${step.name}/done`, async tx => {
      this.#heed(await store.holdJob(tx, this.#claim))
      const result = await step.do(this.#recordContext(step, tx) as never)
      const percent = this.#percentAfter(step)
      await store.markStep(tx, this.#claim, { step: step.name, phase: 'done', made: result, percent })
      this.#made = { ...this.#made, [step.name]: result } // the result of the job may tell it
      if (isLast) await this.#end(tx, 'done', null)
      return result
    })
    this.#ended = isLast
    return made
  }

  async #act(step: Step): Promise<unknown> {
    this.#heed(await this.#mark(step, 'started'))
    const made = await step.do(this.#context(step) as never)
    await this.#mark(step, 'done', made)
    return made
  }

  #heed({ cancelAsked }: { cancelAsked: boolean }): void {
    if (cancelAsked && this.#definition.traits.cancellable) throw cancelled()
  }

  async #wait({ job }: WaitForJob): Promise<void> {
    this.waiting = true
    await this.#write('wait', tx => store.moveJob(tx, this.#claim, { state: 'queued', waitsFor: job }))
  }

  async #turnBack(step: Step, error: unknown): Promise<void> {
    if (error instanceof store.LeaseLost || this.#signals.letGo.aborted) throw error
    const problem = this.#signals.cancel.aborted ? cancelled() : asProblem(error)
    if (problem.kind === 'internal')
      this.#tools.log.error({ err: error, job: this.#job.id, step: step.name }, 'step failed')
    else this.#tools.log.warn({ job: this.#job.id, step: step.name, problem: problem.message }, 'step failed')
    await this.#write(`${step.name}/failed`, tx =>
      store.moveJob(tx, this.#claim, { state: 'undoing', problem: storeProblem(problem) }),
    )
    await this.backward(problem)
  }

  /**
   * Undoes whatever was begun, last first. An act that failed is among it; a record that failed never happened.
   * What failed stays the job's problem, whether the undo works or not.
   */
  async backward(problem: Problem): Promise<void> {
    this.#problem = problem
    const steps = await store.stepsOf(this.#db, this.#job.id)
    for (const [name, { made }] of steps) this.#made = { ...this.#made, [name]: made }
    for (const step of this.#definition.steps.toReversed()) {
      const phase = steps.get(step.name)?.phase
      if (phase === undefined || phase === 'undone') continue
      try {
        await this.#undo(step)
      } catch (error) {
        if (error instanceof store.LeaseLost || this.#signals.letGo.aborted) throw error
        return this.#getStuck(step, problem, error)
      }
    }
    await this.#write('end', tx => this.#end(tx, problem.kind === 'cancelled' ? 'cancelled' : 'failed', problem))
  }

  async #undo(step: Step): Promise<void> {
    const undo = typeof step.undo === 'function' ? step.undo : async () => {}
    if (step.sort === 'record') {
      await this.#write(`${step.name}/undone`, async tx => {
        await store.holdJob(tx, this.#claim)
        await undo(this.#recordContext(step, tx) as never)
        await store.markStep(tx, this.#claim, { step: step.name, phase: 'undone', percent: 0 })
      })
    } else {
      await undo(this.#context(step) as never)
      await this.#mark(step, 'undone')
    }
  }

  async #getStuck(step: Step, problem: Problem, error: unknown): Promise<void> {
    const cause = asProblem(error)
    this.#tools.log.error({ err: error, job: this.#job.id, step: step.name }, 'undo failed; job is stuck')
    const message = `${problem.message} (and undoing "${step.name}" failed: ${cause.message}; mend that and call retryJob)`
    await this.#write('stuck', async tx => {
      await store.moveJob(tx, this.#claim, { state: 'stuck', problem: { ...storeProblem(problem), message } })
      await this.#tell('Completed', 'ERROR', `stuck: ${message}`, tx)
    })
  }

  async #end(tx: Tx, state: 'done' | 'failed' | 'cancelled', problem: Problem | null): Promise<void> {
    await store.moveJob(tx, this.#claim, {
      state,
      completed: true,
      ...(state === 'done' && { result: this.#definition.result(this.#made as never), percent: 100 }),
    })
    if (state !== 'done') await this.#definition.onFailure({ ...this.#context(), tx } as never)
    const failed = state === 'failed'
    await this.#tell('Completed', failed ? 'ERROR' : 'INFO', failed ? `failed: ${problem?.message}` : state, tx)
  }

  async #tell(state: 'Started' | 'Completed', level: 'INFO' | 'ERROR', outcome: string, tx?: Tx): Promise<void> {
    const { traits } = this.#definition
    const job = this.#job
    await recordEvent(tx ?? this.#db, {
      type: eventOf(traits, job.input as never),
      state,
      level,
      description: `${traits.doing}: ${job.instance_id}${outcome && ` (${outcome})`}`,
      account: job.account_id,
      user: job.user_id,
      resourceType: traits.instanceType,
      resource: job.instance_id,
      startEvent: job.start_event_id,
    })
  }

  #mark(step: Step, phase: store.Phase, made?: unknown): Promise<{ cancelAsked: boolean }> {
    const percent = phase === 'done' ? this.#percentAfter(step) : this.#percentBefore(step)
    return this.#pass(`${step.name}/${phase}`, () =>
      store.markStep(this.#db, this.#claim, { step: step.name, phase, made, percent }),
    )
  }

  #write<T>(point: string, change: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#pass(point, () => inTransaction(this.#db, change))
  }

  async #pass<T>(point: string, act: () => Promise<T>): Promise<T> {
    const name = `${this.#definition.traits.kind}/${point}`
    this.#options.crashPoints.pass(`${name}/before`)
    const result = await act()
    this.#options.crashPoints.pass(`${name}/after`)
    return result
  }

  #guard() {
    const point = (call: string, when: string) =>
      this.#options.crashPoints.pass(`${this.#definition.traits.kind}/driver/${call}/${when}`)
    return {
      before: async (call: string) => {
        if (!(await store.holdsLease(this.#db, this.#claim))) throw new store.LeaseLost(this.#job.id)
        point(call, 'before')
      },
      after: (call: string) => point(call, 'after'),
    }
  }

  #context(step?: Step): AnyContext {
    const { cancel, letGo } = this.#signals
    return {
      ...this.#tools,
      input: this.#job.input,
      made: this.#made,
      job: this.#job,
      problem: this.#problem,
      signal: this.#problem ? letGo : AbortSignal.any([cancel, letGo]),
      progress: step ? this.#progress(step) : () => {},
    }
  }

  #recordContext(step: Step, tx: Tx): RecordContext<unknown, Record<string, unknown>> {
    // Within a transaction the job's row is locked, and with it the lease: no other connection need be asked.
    return { ...this.#context(step), driver: this.#options.tools.driver, tx }
  }

  /** At most two writes a second: progress is for eyes. */
  #progress(step: Step): (percent: number) => void {
    let last = 0
    return percent => {
      if (Date.now() - last < 500) return
      last = Date.now()
      const share = (this.#percentAfter(step) - this.#percentBefore(step)) * (percent / 100)
      const write = store.markPercent(this.#db, this.#claim, Math.floor(this.#percentBefore(step) + share))
      write.catch(error => this.#tools.log.warn({ err: error }, 'cannot note progress'))
    }
  }

  #percentBefore(step: Step): number {
    return Math.floor((100 * this.#definition.steps.indexOf(step)) / this.#definition.steps.length)
  }

  #percentAfter(step: Step): number {
    return Math.floor((100 * (this.#definition.steps.indexOf(step) + 1)) / (this.#definition.steps.length + 1))
  }

  get #claim(): store.Claim {
    return { id: this.#job.id, fence: this.#job.fence }
  }

  get #db() {
    return this.#tools.db
  }
}

function cancelled(): Problem {
  return new Problem('cancelled', 'cancelled', 'Cancelled on request')
}
