// Jobs as their owner sees them, and the result of a finished one.
import type { JobId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import type { Db } from '../store/database.ts'
import { type Caller, demandOwned } from './caller.ts'
import type { Answer, Command } from './command.ts'
import { wireCodes } from './errors.ts'

export function selectJobs(db: Db) {
  return db
    .selectFrom('job')
    .innerJoin('account', 'account.id', 'job.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .selectAll('job')
    .select(['account.name as account_name', 'domain.id as domain_id', 'domain.path as domain_path'])
}

export type ListedJob = Awaited<ReturnType<ReturnType<typeof selectJobs>['execute']>>[number]

export async function jobOfCall(app: App, caller: Caller, id: JobId): Promise<ListedJob> {
  const job = await selectJobs(app.db).where('job.id', '=', id).executeTakeFirst()
  return demandOwned(app, caller, job, 'jobid', id)
}

/** An object whenever the job has ended, as clients demand: the result, or the error. */
export async function answerOf(
  app: App,
  caller: Caller,
  job: ListedJob,
  command: Command | undefined,
): Promise<Answer | undefined> {
  if (!job.completed) return undefined
  if (job.problem) return { errorcode: wireCodes[job.problem.kind].http, errortext: job.problem.message }
  return (await command?.result?.(app, job, caller)) ?? { success: true }
}

/** The job ends at its next step, wherever it runs, and what it did is undone. */
export async function askToEnd(app: App, job: JobId): Promise<void> {
  await app.db.updateTable('job').set({ cancel_asked: true }).where('id', '=', job).execute()
  app.jobs.cancel(job)
}
