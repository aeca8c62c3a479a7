// A job in this server's hands: what both ways through its steps, forward and backward, need of it. Every write names the
// claim, so that a server whose lease was lost writes nothing.
import { Problem } from '@ramet/core/problem.ts'
import { type Db, inTransaction, type Tx } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import { type Claim, holdJob, type JobChange, LeaseLost, type Mark, noteJob } from '../store/jobs.ts'
import type { Row } from '../store/tables.ts'
import type { CrashPoints } from './crash-points.ts'
import { eventOf, type JobDefinition } from './define-job.ts'
import { StepContexts } from './step-contexts.ts'
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

export class ClaimedJob {
  readonly tools: Tools
  readonly definition: JobDefinition
  readonly row: Row<'job'>
  readonly signals: RunSignals
  readonly contexts: StepContexts
  /** The step that is tried just now, to be named when something fails. */
  at = 'end'
  readonly #claim: Claim
  readonly #crashPoints: CrashPoints

  constructor({ tools, crashPoints }: RunOptions, definition: JobDefinition, row: Row<'job'>, signals: RunSignals) {
    this.tools = tools
    this.definition = definition
    this.row = row
    this.signals = signals
    this.#claim = { id: row.id, fence: row.fence }
    this.#crashPoints = crashPoints
    this.contexts = new StepContexts(tools, definition, row, point => this.pass(point))
  }

  get db() {
    return this.tools.db
  }

  note(db: Db, change: JobChange, marks: readonly Mark[] = []): Promise<Row<'job'>> {
    return noteJob(db, this.#claim, change, marks)
  }

  /** In a transaction that holds the job's row. */
  inTransaction<T>(write: (tx: Tx, job: Row<'job'>) => Promise<T>): Promise<T> {
    return inTransaction(this.db, async tx => write(tx, await holdJob(tx, this.#claim)))
  }

  /** A durable write, with the moments before and after it as crash points. */
  async write<T>(point: string, change: () => Promise<T>): Promise<T> {
    this.pass(`${point}/before`)
    const result = await change()
    this.pass(`${point}/after`)
    return result
  }

  writeInTransaction<T>(point: string, change: (tx: Tx) => Promise<T>): Promise<T> {
    return this.write(point, () => this.inTransaction(change))
  }

  pass(point: string): void {
    this.#crashPoints.pass(`${this.definition.traits.kind}/${point}`)
  }

  /** Throws where a person asked for the job's end and it may be had. */
  heed({ cancel_asked: cancelAsked }: Row<'job'>): void {
    if (cancelAsked && this.definition.traits.cancellable) throw cancelled()
  }

  /** No failure, but the end of this server's turn: whoever claims the job next goes on. */
  rethrowIfLetGo(error: unknown): void {
    if (error instanceof LeaseLost || this.signals.letGo.aborted) throw error
  }

  async tellEnd(db: Db, level: 'INFO' | 'ERROR', outcome: string): Promise<void> {
    const { traits } = this.definition
    const { row } = this
    await recordEvent(db, {
      type: eventOf(traits, row.input as never),
      level,
      description: `${traits.doing}: ${row.instance_id} (${outcome})`,
      account: row.account_id,
      user: row.user_id,
      resourceType: traits.instanceType,
      resource: row.instance_id,
      startEvent: row.start_event_id,
    })
  }
}

export function cancelled(): Problem {
  return new Problem('cancelled', 'cancelled', 'Cancelled on request')
}
