// Forward through a job's steps, in legs. A leg is one durable write and then at most one act: the write notes what the act
// before it made, does the records up to the next act, and notes that this one begins, or that the job is done.
import { Problem } from '@ramet/core/problem.ts'
import type { Db, Tx } from '../store/database.ts'
import { type Mark, stepsOf } from '../store/jobs.ts'
import type { Row } from '../store/tables.ts'
import type { ClaimedJob } from './claimed-job.ts'
import type { JobTraits, Step } from './define-job.ts'
import { type Made, madeIn } from './step-contexts.ts'

interface Leg {
  readonly job: Row<'job'>
  readonly made: Made
  /** The act to be done now, and what follows it; null when the job is done. */
  readonly next: { readonly act: Step; readonly rest: readonly Step[] } | null
}

export class Forward {
  readonly #claimed: ClaimedJob
  #made: Made = {}
  /** The act that was done and awaits its note. */
  #outcome: { readonly step: Step; readonly made: unknown } | null = null

  constructor(claimed: ClaimedJob) {
    this.#claimed = claimed
  }

  /** To the end of the job; returns its row. */
  async go(): Promise<Row<'job'>> {
    let rest = await this.#stepsToDo()
    for (;;) {
      const leg = await this.#leg(rest)
      this.#made = leg.made
      this.#outcome = null
      if (!leg.next) return leg.job
      this.#claimed.heed(leg.job)
      const { act } = leg.next
      const made = await act.do(this.#claimed.contexts.ofAct(act, this.#made, this.#signal) as never)
      this.#outcome = { step: act, made }
      rest = leg.next.rest
    }
  }

  /** What is still to be noted of the act that was done last. */
  get unnoted(): Mark[] {
    return this.#outcome ? [done(this.#outcome.step, this.#outcome.made)] : []
  }

  async #stepsToDo(): Promise<readonly Step[]> {
    const { row, definition, db, tools } = this.#claimed
    if (definition.traits.onLayers && tools.driver.capabilities.disks === 'machines') throw ownDisks(definition.traits)
    if (row.fence === 1) return definition.steps
    const noted = await stepsOf(db, row.id)
    this.#made = madeIn(noted)
    return definition.steps.filter(({ name }) => noted.get(name)?.phase !== 'done')
  }

  /** Where an act comes next, its note is a single statement and needs no transaction around it. */
  async #leg(steps: readonly Step[]): Promise<Leg> {
    const claimed = this.#claimed
    const [outcome, marks] = [this.#outcome, this.unnoted]
    const made = outcome ? { ...this.#made, [outcome.step.name]: outcome.made } : this.#made
    let passed: string[] = []
    const write = (db: Db): Promise<Leg> => {
      passed = []
      if (outcome) this.#before(`${outcome.step.name}/done`, passed)
      return this.#walk(db, steps, { made, marks: [...marks], passed })
    }
    const first = steps.find(step => isNeeded(step, made))
    const leg = await (first?.sort === 'act'
      ? write(claimed.db)
      : claimed.inTransaction((tx, job) => {
          claimed.heed(job)
          return write(tx)
        }))
    for (const point of passed) claimed.pass(`${point}/after`)
    return leg
  }

  /** Does the records up to the next act, or to the end of the job, and notes all of it. */
  async #walk(
    db: Db,
    steps: readonly Step[],
    { made, marks, passed }: { made: Made; marks: Mark[]; passed: string[] },
  ): Promise<Leg> {
    const claimed = this.#claimed
    for (const [index, step] of steps.entries()) {
      if (!isNeeded(step, made)) continue
      claimed.at = step.name
      if (step.sort === 'act') {
        this.#before(`${step.name}/started`, passed)
        const job = await this.#noteBegin(db, step, marks)
        return { job, made, next: { act: step, rest: steps.slice(index + 1) } }
      }
      this.#before(`${step.name}/done`, passed)
      const result = await step.do(claimed.contexts.ofRecord(step, made, this.#signal, db as Tx) as never)
      made = { ...made, [step.name]: result }
      marks.push(done(step, result))
    }
    claimed.at = 'end'
    this.#before('end', passed)
    return { job: await this.#end(db, made, marks), made, next: null }
  }

  #noteBegin(db: Db, step: Step, marks: readonly Mark[]): Promise<Row<'job'>> {
    const { contexts } = this.#claimed
    contexts.actBegins()
    const change = { step: step.name, percent: contexts.percentBefore(step) }
    return this.#claimed.note(db, change, [...marks, { step: step.name, phase: 'started' }])
  }

  async #end(db: Db, made: Made, marks: readonly Mark[]): Promise<Row<'job'>> {
    const result = this.#claimed.definition.result(made as never)
    const job = await this.#claimed.note(db, { state: 'done', completed: true, result, percent: 100 }, marks)
    const outcome = typeof result['outcome'] === 'string' && result['outcome'] ? `: ${result['outcome']}` : ''
    await this.#claimed.tellEnd(db, 'INFO', `done${outcome}`)
    return job
  }

  /** A write has several points where it does several things; all are passed again when it is tried again. */
  #before(point: string, passed: string[]): void {
    this.#claimed.pass(`${point}/before`)
    passed.push(point)
  }

  get #signal(): AbortSignal {
    const { cancel, letGo } = this.#claimed.signals
    return AbortSignal.any([cancel, letGo])
  }
}

function isNeeded(step: Step, made: Made): boolean {
  return !step.when || step.when(made as never)
}

function done({ name }: Step, made: unknown): Mark {
  return { step: name, phase: 'done', made }
}

function ownDisks({ doing }: JobTraits<never>): Problem {
  return new Problem(
    'unsupported',
    'own-disks',
    `The machine's hypervisor keeps its own disks, and there this is not possible: ${doing}`,
  )
}
