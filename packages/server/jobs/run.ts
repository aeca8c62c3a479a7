// One claim of one job: forward through its steps (forward.ts), or backward through their undos (backward.ts), from wherever
// the record says.
import { asProblem, restoreProblem, storeProblem } from '@ramet/core/problem.ts'
import type { Row } from '../store/tables.ts'
import { goBackward } from './backward.ts'
import { cancelled, ClaimedJob, type RunOptions, type RunSignals } from './claimed-job.ts'
import { type JobDefinition, WaitForJob } from './define-job.ts'
import { Forward } from './forward.ts'

/** Works on `job` until it ends, waits or gets stuck. Returns its row when it ended or got stuck. */
export async function runJob(
  options: RunOptions,
  definition: JobDefinition,
  job: Row<'job'>,
  signals: RunSignals,
): Promise<Row<'job'> | null> {
  const claimed = new ClaimedJob(options, definition, job, signals)
  if (job.problem && job.state === 'undoing') return goBackward(claimed, restoreProblem(job.problem))
  const forward = new Forward(claimed)
  try {
    return await forward.go()
  } catch (error) {
    return error instanceof WaitForJob ? wait(claimed, error) : turnBack(claimed, forward, error)
  }
}

async function wait(claimed: ClaimedJob, { job }: WaitForJob): Promise<null> {
  await claimed.write('wait', () => claimed.note(claimed.db, { state: 'queued', waitsFor: job }))
  return null
}

/** That the job goes back, and why, is on disk before anything is undone. */
async function turnBack(claimed: ClaimedJob, { unnoted }: Forward, error: unknown): Promise<Row<'job'>> {
  claimed.rethrowIfLetGo(error)
  const { db, signals, tools, row, at } = claimed
  const problem = signals.cancel.aborted ? cancelled() : asProblem(error)
  const facts = { job: row.id, step: at }
  if (problem.kind === 'internal') tools.log.error({ err: error, ...facts }, 'step failed')
  else tools.log.warn({ ...facts, problem: problem.message }, 'step failed')
  const change = { state: 'undoing', problem: storeProblem(problem) } as const
  await claimed.write(`${at}/failed`, () => claimed.note(db, change, unnoted))
  return goBackward(claimed, problem)
}
