// One claim of one job: forward through its steps, or backward through their undos, from wherever the record says.
// Forward it goes in legs. A leg is one durable write and then at most one act: the write notes what the act before it
// made, does the records up to the next act, and notes that this one begins, or that the job is done.
import { Problem, asProblem, restoreProblem, storeProblem, withRemark } from '@ramet/core/problem.ts'
import { type Db, inTransaction, type Tx } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import * as store from '../store/jobs.ts'
import type { Row } from '../store/tables.ts'
import type { CrashPoints } from './crash-points.ts'
import { eventOf, type JobDefinition, type Step, WaitForJob } from './define-job.ts'
import { type Made, StepContexts } from './step-contexts.ts'
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

/** Works on `job` until it ends, waits or gets stuck. Returns its row when it ended or got stuck. */
export async function runJob(
  options: RunOptions,
  definition: JobDefinition,
  job: Row<'job'>,
  signals: RunSignals,
): Promise<Row<'job'> | null> {
  const run = new JobRun(options, definition, job, signals)
  return job.problem && job.state === 'undoing' ? run.backward(restoreProblem(job.problem)) : run.forward()
}

/** An act that was done, to be noted with the next durable write. */
interface Outcome {
  readonly step: Step
  readonly made: unknown
}

interface Leg {
  readonly job: Row<'job'>
  readonly made: Made
  /** The act to be done now, and what follows it; null when the job is done. */
  readonly next: { readonly act: Step; readonly rest: readonly Step[] } | null
}

class JobRun {
  readonly #crashPoints: CrashPoints
  readonly #definition: JobDefinition
  readonly #job: Row<'job'>
  readonly #signals: RunSignals
  readonly #tools: Tools
  readonly #claim: store.Claim
  readonly #contexts: StepContexts
  #made: Made = {}
  /** The step that is tried just now, to be named when something fails. */
  #at = 'end'

  constructor({ tools, crashPoints }: RunOptions, definition: JobDefinition, job: Row<'job'>, signals: RunSignals) {
    this.#crashPoints = crashPoints
    this.#definition = definition
    this.#job = job
    this.#signals = signals
    this.#tools = tools
    this.#claim = { id: job.id, fence: job.fence }
    this.#contexts = new StepContexts(tools, definition, job, point => this.#pass(point))
  }

  async forward(): Promise<Row<'job'> | null> {
    let outcome: Outcome | null = null
    try {
      let rest = await this.#stepsToDo()
      for (;;) {
        const leg: Leg = await this.#leg(rest, outcome)
        this.#made = leg.made
        outcome = null
        if (!leg.next) return leg.job
        this.#heed(leg.job)
        const { act } = leg.next
        outcome = { step: act, made: await act.do(this.#contexts.ofAct(act, this.#made, this.#signal) as never) }
        rest = leg.next.rest
      }
    } catch (error) {
      return error instanceof WaitForJob ? this.#wait(error) : this.#turnBack(error, outcome)
    }
  }

  async #stepsToDo(): Promise<readonly Step[]> {
    if (this.#job.fence === 1) return this.#definition.steps
    const noted = await store.stepsOf(this.#db, this.#job.id)
    this.#made = madeIn(noted)
    return this.#definition.steps.filter(({ name }) => noted.get(name)?.phase !== 'done')
  }

  /** Where an act comes next, its note is a single statement and needs no transaction around it. */
  async #leg(steps: readonly Step[], outcome: Outcome | null): Promise<Leg> {
    const made = outcome ? { ...this.#made, [outcome.step.name]: outcome.made } : this.#made
    const marks = outcome ? [done(outcome.step, outcome.made)] : []
    const first = steps.find(step => isNeeded(step, made))
    let passed: string[] = []
    const write = (db: Db): Promise<Leg> => {
      passed = []
      if (outcome) this.#before(`${outcome.step.name}/done`, passed)
      return this.#walk(db, steps, { made, marks: [...marks], passed })
    }
    const leg = await (first?.sort === 'act' ? write(this.#db) : this.#inTransaction(write))
    for (const point of passed) this.#pass(`${point}/after`)
    return leg
  }

  async #inTransaction<T>(write: (tx: Tx) => Promise<T>): Promise<T> {
    return inTransaction(this.#db, async tx => {
      const job = await store.holdJob(tx, this.#claim)
      if (job.state !== 'undoing') this.#heed(job)
      return write(tx)
    })
  }

  /** Does the records up to the next act, or to the end of the job, and notes all of it. */
  async #walk(
    db: Db,
    steps: readonly Step[],
    { made, marks, passed }: { made: Made; marks: store.Mark[]; passed: string[] },
  ): Promise<Leg> {
    for (const [index, step] of steps.entries()) {
      if (!isNeeded(step, made)) continue
      this.#at = step.name
      if (step.sort === 'act') {
        this.#before(`${step.name}/started`, passed)
        marks.push({ step: step.name, phase: 'started' })
        this.#contexts.actBegins()
        const change = { step: step.name, percent: this.#contexts.percentBefore(step) }
        const job = await store.noteJob(db, this.#claim, change, marks)
        return { job, made, next: { act: step, rest: steps.slice(index + 1) } }
      }
      this.#before(`${step.name}/done`, passed)
      const result = await step.do(this.#contexts.ofRecord(step, made, this.#signal, db as Tx) as never)
      made = { ...made, [step.name]: result }
      marks.push(done(step, result))
    }
    this.#at = 'end'
    this.#before('end', passed)
    return { job: await this.#end(db, made, marks), made, next: null }
  }

  async #end(db: Db, made: Made, marks: readonly store.Mark[]): Promise<Row<'job'>> {
    const result = this.#definition.result(made as never)
    const job = await store.noteJob(db, this.#claim, { state: 'done', completed: true, result, percent: 100 }, marks)
    const outcome = typeof result['outcome'] === 'string' && result['outcome'] ? `: ${result['outcome']}` : ''
    await this.#tellEnd(db, 'INFO', `done${outcome}`)
    return job
  }

  #heed(job: Row<'job'>): void {
    if (job.cancel_asked && this.#definition.traits.cancellable) throw cancelled()
  }

  async #wait({ job }: WaitForJob): Promise<null> {
    await this.#write('wait', () => store.noteJob(this.#db, this.#claim, { state: 'queued', waitsFor: job }))
    return null
  }

  async #turnBack(error: unknown, outcome: Outcome | null): Promise<Row<'job'> | null> {
    this.#rethrowIfLetGo(error)
    const problem = this.#signals.cancel.aborted ? cancelled() : asProblem(error)
    const facts = { job: this.#job.id, step: this.#at }
    if (problem.kind === 'internal') this.#tools.log.error({ err: error, ...facts }, 'step failed')
    else this.#tools.log.warn({ ...facts, problem: problem.message }, 'step failed')
    const marks = outcome ? [done(outcome.step, outcome.made)] : []
    await this.#write(`${this.#at}/failed`, () =>
      store.noteJob(this.#db, this.#claim, { state: 'undoing', problem: storeProblem(problem) }, marks),
    )
    return this.backward(problem)
  }

  /**
   * Undoes whatever was begun, last first. An act that failed is among it; a record that failed never happened.
   * What failed stays the job's problem, whether the undo works or not.
   */
  async backward(problem: Problem): Promise<Row<'job'> | null> {
    const noted = await store.stepsOf(this.#db, this.#job.id)
    this.#made = { ...this.#made, ...madeIn(noted) }
    try {
      for (const step of this.#definition.steps.toReversed()) {
        const phase = noted.get(step.name)?.phase
        this.#at = step.name
        if (phase !== undefined && phase !== 'undone') problem = await this.#undo(step, problem)
      }
      this.#at = 'end'
      return await this.#fail(problem)
    } catch (error) {
      this.#rethrowIfLetGo(error)
      return this.#getStuck(problem, error)
    }
  }

  /** Returns the problem, with what the undo has to say about what it left. */
  async #undo(step: Step, problem: Problem): Promise<Problem> {
    const undo = typeof step.undo === 'function' ? step.undo : async () => undefined
    const { letGo } = this.#signals
    const note = async (db: Db, remark: string | undefined | void) => {
      const told = remark ? withRemark(problem, remark) : problem
      const change = { step: step.name, percent: 0, ...(remark && { problem: storeProblem(told) }) }
      await store.noteJob(db, this.#claim, change, [{ step: step.name, phase: 'undone' }])
      return told
    }
    if (step.sort === 'record')
      return this.#writeInTransaction(`${step.name}/undone`, async tx =>
        note(tx, await undo(this.#contexts.ofRecord(step, this.#made, letGo, tx, problem) as never)),
      )
    const remark = await undo(this.#contexts.ofAct(step, this.#made, letGo, problem) as never)
    return this.#write(`${step.name}/undone`, () => note(this.#db, remark))
  }

  #fail(problem: Problem): Promise<Row<'job'>> {
    const state = problem.kind === 'cancelled' ? 'cancelled' : 'failed'
    return this.#writeInTransaction('end', async tx => {
      const job = await store.noteJob(tx, this.#claim, { state, completed: true })
      await this.#definition.onFailure(this.#contexts.ofFailure(this.#made, this.#signals.letGo, tx, problem) as never)
      if (state === 'failed') await this.#tellEnd(tx, 'ERROR', `failed: ${problem.message}`)
      else await this.#tellEnd(tx, 'INFO', state)
      return job
    })
  }

  async #getStuck(problem: Problem, error: unknown): Promise<Row<'job'>> {
    const cause = asProblem(error)
    this.#tools.log.error({ err: error, job: this.#job.id, step: this.#at }, 'undo failed; job is stuck')
    const message = `${problem.message} (and undoing "${this.#at}" failed: ${cause.message}; mend that and call retryJob)`
    return this.#writeInTransaction('stuck', async tx => {
      await this.#tellEnd(tx, 'ERROR', `stuck: ${message}`)
      return store.noteJob(tx, this.#claim, { state: 'stuck', problem: { ...storeProblem(problem), message } })
    })
  }

  /** No failure, but the end of this server's turn: whoever claims the job next goes on. */
  #rethrowIfLetGo(error: unknown): void {
    if (error instanceof store.LeaseLost || this.#signals.letGo.aborted) throw error
  }

  async #tellEnd(db: Db, level: 'INFO' | 'ERROR', outcome: string): Promise<void> {
    const { traits } = this.#definition
    const job = this.#job
    await recordEvent(db, {
      type: eventOf(traits, job.input as never),
      level,
      description: `${traits.doing}: ${job.instance_id} (${outcome})`,
      account: job.account_id,
      user: job.user_id,
      resourceType: traits.instanceType,
      resource: job.instance_id,
      startEvent: job.start_event_id,
    })
  }

  #writeInTransaction<T>(point: string, change: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#write(point, () =>
      inTransaction(this.#db, async tx => {
        await store.holdJob(tx, this.#claim)
        return change(tx)
      }),
    )
  }

  async #write<T>(point: string, change: () => Promise<T>): Promise<T> {
    this.#pass(`${point}/before`)
    const result = await change()
    this.#pass(`${point}/after`)
    return result
  }

  #before(point: string, passed: string[]): void {
    this.#pass(`${point}/before`)
    passed.push(point)
  }

  #pass(point: string): void {
    this.#crashPoints.pass(`${this.#definition.traits.kind}/${point}`)
  }

  get #signal(): AbortSignal {
    return AbortSignal.any([this.#signals.cancel, this.#signals.letGo])
  }

  get #db() {
    return this.#tools.db
  }
}

function isNeeded(step: Step, made: Made): boolean {
  return !step.when || step.when(made as never)
}

function done({ name }: Step, made: unknown): store.Mark {
  return { step: name, phase: 'done', made }
}

function madeIn(noted: ReadonlyMap<string, Row<'job_step'>>): Made {
  const ofThoseDone = [...noted].filter(([, { phase }]) => phase === 'done')
  return Object.fromEntries(ofThoseDone.map(([name, { made }]) => [name, made]))
}

function cancelled(): Problem {
  return new Problem('cancelled', 'cancelled', 'Cancelled on request')
}
