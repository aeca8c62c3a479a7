// Jobs that people ask for. What a stuck job holds is locked until somebody retries it, and a job behind it would wait in silence: so it is
// refused, with the reason. What the server starts by itself waits.
import { Problem } from '@ramet/core/problem.ts'
import type { Db } from '../store/database.ts'
import { jobOn } from '../store/jobs.ts'
import type { Runner } from './runner.ts'

export function askedJobs(runner: Runner): Runner {
  return {
    ...runner,
    start: async (db, definition, input, origin) => {
      await demandNoneStuck(db, definition.traits.lock(input))
      return runner.start(db, definition, input, origin)
    },
  }
}

async function demandNoneStuck(db: Db, lockKey: string): Promise<void> {
  const job = await jobOn(db, lockKey)
  if (job?.state !== 'stuck') return
  const reason = job.problem?.message ?? `Job ${job.id} could not be undone`
  throw new Problem(
    'refused',
    'job-stuck',
    `Job ${job.id} (${job.kind}) is stuck and holds what this is about; nothing else can be done with it before it is undone. Mend what stopped it, and call retryJob jobid=${job.id}. It says: ${reason}`,
  )
}
