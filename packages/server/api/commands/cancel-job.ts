import { isFinished } from '@ramet/core/job-state.ts'
import { Problem } from '@ramet/core/problem.ts'
import { definitions } from '../../jobs/definitions.ts'
import { plainCommand } from '../command.ts'
import { askToEnd, jobOfCall } from '../job-query.ts'
import { id } from '../parameters.ts'

export const cancelJob = plainCommand({
  name: 'cancelJob',
  description: 'Ends a job half way and undoes what it did, where that is safe',
  permission: 'user',
  params: { jobid: id<'job'>('the job').must },
  async run({ app, caller, params }) {
    const job = await jobOfCall(app, caller, params.jobid)
    if (isFinished(job.state))
      throw new Problem('refused', 'job-ended', `Job ${job.id} has ended already: it is ${job.state}`)
    if (!definitions.find(({ traits }) => traits.kind === job.kind)?.traits.cancellable)
      throw new Problem(
        'refused',
        'not-cancellable',
        `A ${job.command} job cannot be cancelled: what it has done cannot be undone`,
      )
    await askToEnd(app, job.id)
    return { success: true }
  },
})
