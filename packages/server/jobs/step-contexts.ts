// What steps are given: the tools, what was made before them, a driver that looks at the lease before each call, and a way
// to tell how far they are.
import type { Problem } from '@ramet/core/problem.ts'
import type { Tx } from '../store/database.ts'
import { freshMs, holdsLease, LeaseLost, markPercent } from '../store/jobs.ts'
import type { Row } from '../store/tables.ts'
import type { JobDefinition, RecordContext, Step, StepContext } from './define-job.ts'
import { guardDriver } from './guarded-driver.ts'
import type { Tools } from './tools.ts'

/** What the steps returned, by name. */
export type Made = Readonly<Record<string, unknown>>

export function madeIn(noted: ReadonlyMap<string, Row<'job_step'>>): Made {
  const ofThoseDone = [...noted].filter(([, { phase }]) => phase === 'done')
  return Object.fromEntries(ofThoseDone.map(([name, { made }]) => [name, made]))
}

type ActContext = StepContext<unknown, Made>

export class StepContexts {
  readonly #tools: Tools
  readonly #guarded: Tools
  readonly #definition: JobDefinition
  readonly #job: Row<'job'>
  #begun = { monotonic: Number.NEGATIVE_INFINITY, wall: 0 }

  constructor(tools: Tools, definition: JobDefinition, job: Row<'job'>, pass: (point: string) => void) {
    this.#tools = tools
    this.#definition = definition
    this.#job = job
    const guard = {
      before: async (call: string) => {
        if (!this.#isFresh() && !(await holdsLease(tools.db, job))) throw new LeaseLost(job.id)
        pass(`driver/${call}/before`)
      },
      after: (call: string) => pass(`driver/${call}/after`),
    }
    this.#guarded = { ...tools, driver: guardDriver(tools.driver, guard) }
  }

  /** To be called before an act is noted as begun: for a moment the note itself is proof of the lease. */
  actBegins(): void {
    this.#begun = { monotonic: performance.now(), wall: Date.now() }
  }

  /** By both clocks: the one that does not jump stands still while the machine sleeps. */
  #isFresh(): boolean {
    const elapsed = Math.max(performance.now() - this.#begun.monotonic, Date.now() - this.#begun.wall)
    return elapsed < freshMs / 2 && Date.now() >= this.#begun.wall
  }

  ofAct(step: Step, made: Made, signal: AbortSignal, problem: Problem | null = null): ActContext {
    return this.#context(this.#guarded, made, signal, problem, step)
  }

  /** Within a transaction the job's row is locked, and with it the lease: the driver need not ask another connection. */
  ofRecord(
    step: Step,
    made: Made,
    signal: AbortSignal,
    tx: Tx,
    problem: Problem | null = null,
  ): RecordContext<unknown, Made> {
    return { ...this.#context(this.#tools, made, signal, problem, step), tx }
  }

  ofFailure(made: Made, signal: AbortSignal, tx: Tx, problem: Problem): RecordContext<unknown, Made> {
    return { ...this.#context(this.#tools, made, signal, problem), tx }
  }

  #context(tools: Tools, made: Made, signal: AbortSignal, problem: Problem | null, step?: Step): ActContext {
    const progress = step ? this.#progress(step) : () => {}
    return { ...tools, input: this.#job.input, made, job: this.#job, problem, signal, progress }
  }

  /** At most two writes a second: progress is for eyes. */
  #progress(step: Step): (percent: number) => void {
    let last = 0
    return percent => {
      if (Date.now() - last < 500) return
      last = Date.now()
      const share = (this.#percentAfter(step) - this.percentBefore(step)) * (percent / 100)
      const write = markPercent(this.#tools.db, this.#job, Math.floor(this.percentBefore(step) + share))
      write.catch(error => this.#tools.log.warn({ err: error }, 'cannot note progress'))
    }
  }

  percentBefore(step: Step): number {
    return Math.floor((100 * this.#weightBefore(step)) / this.#weight(this.#definition.steps))
  }

  /** The last of them leaves something to the end of the job. */
  #percentAfter(step: Step): number {
    return Math.floor(
      (100 * (this.#weightBefore(step) + this.#weight([step]))) / (this.#weight(this.#definition.steps) + 1),
    )
  }

  #weightBefore(step: Step): number {
    const { steps } = this.#definition
    return this.#weight(steps.slice(0, steps.indexOf(step)))
  }

  #weight(steps: readonly Step[]): number {
    return steps.reduce((sum, { weight = 1 }) => sum + weight, 0)
  }
}
