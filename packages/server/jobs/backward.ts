// Backward through a job's steps: undoes whatever was begun, last first. An act that failed is among it; a record that failed
// never happened. What failed stays the job's problem, whether the undo works or not.
import { asProblem, type Problem, storeProblem, withRemark } from '@ramet/core/problem.ts'
import type { Db } from '../store/database.ts'
import { stepsOf } from '../store/jobs.ts'
import type { Row } from '../store/tables.ts'
import type { ClaimedJob } from './claimed-job.ts'
import type { Step } from './define-job.ts'
import { type Made, madeIn } from './step-contexts.ts'

/** Returns the job's row: failed, cancelled or stuck. */
export async function goBackward(claimed: ClaimedJob, problem: Problem): Promise<Row<'job'>> {
  const noted = await stepsOf(claimed.db, claimed.row.id)
  const made = madeIn(noted)
  try {
    for (const step of claimed.definition.steps.toReversed()) {
      const phase = noted.get(step.name)?.phase
      claimed.at = step.name
      if (phase !== undefined && phase !== 'undone') problem = await undo(claimed, step, made, problem)
    }
    claimed.at = 'end'
    return await fail(claimed, made, problem)
  } catch (error) {
    claimed.rethrowIfLetGo(error)
    return getStuck(claimed, problem, error)
  }
}

/** Returns the problem, with what the undo has to say about what it left. */
async function undo(claimed: ClaimedJob, step: Step, made: Made, problem: Problem): Promise<Problem> {
  const { contexts, signals, db } = claimed
  const act = typeof step.undo === 'function' ? step.undo : async () => undefined
  const note = async (on: Db, remark: string | undefined | void) => {
    const told = remark ? withRemark(problem, remark) : problem
    const change = { step: step.name, percent: 0, ...(remark && { problem: storeProblem(told) }) }
    await claimed.note(on, change, [{ step: step.name, phase: 'undone' }])
    return told
  }
  if (step.sort === 'record')
    return claimed.writeInTransaction(`${step.name}/undone`, async tx =>
      note(tx, await act(contexts.ofRecord(step, made, signals.letGo, tx, problem) as never)),
    )
  const remark = await act(contexts.ofAct(step, made, signals.letGo, problem) as never)
  return claimed.write(`${step.name}/undone`, () => note(db, remark))
}

function fail(claimed: ClaimedJob, made: Made, problem: Problem): Promise<Row<'job'>> {
  const { contexts, definition, signals } = claimed
  const state = problem.kind === 'cancelled' ? 'cancelled' : 'failed'
  return claimed.writeInTransaction('end', async tx => {
    const job = await claimed.note(tx, { state, completed: true })
    await definition.onFailure(contexts.ofFailure(made, signals.letGo, tx, problem) as never)
    if (state === 'failed') await claimed.tellEnd(tx, 'ERROR', `failed: ${problem.message}`)
    else await claimed.tellEnd(tx, 'INFO', state)
    return job
  })
}

async function getStuck(claimed: ClaimedJob, problem: Problem, error: unknown): Promise<Row<'job'>> {
  const { at, tools, row } = claimed
  tools.log.error({ err: error, job: row.id, step: at }, 'undo failed; job is stuck')
  const cause = asProblem(error).message
  const message = `${problem.message} (and undoing "${at}" failed: ${cause}; mend that and call retryJob)`
  return claimed.writeInTransaction('stuck', async tx => {
    await claimed.tellEnd(tx, 'ERROR', `stuck: ${message}`)
    return claimed.note(tx, { state: 'stuck', problem: { ...storeProblem(problem), message } })
  })
}
