import { Problem } from '@ramet/core/problem.ts'
import { plainCommand } from '../command.ts'
import { jobOfCall } from '../job-query.ts'
import { id } from '../parameters.ts'

export const retryJob = plainCommand({
  name: 'retryJob',
  description: 'Tries again to undo a job that got stuck',
  permission: 'user',
  params: { jobid: id<'job'>('the job').must },
  async run({ app, caller, params }) {
    const job = await jobOfCall(app, caller, params.jobid)
    const moved = await app.db
      .updateTable('job')
      .set({ state: 'undoing' })
      .where('id', '=', job.id)
      .where('state', '=', 'stuck')
      .returning('id')
      .executeTakeFirst()
    if (!moved)
      throw new Problem('refused', 'job-not-stuck', `Job ${job.id} is ${job.state}; only a stuck job is tried again`)
    app.jobs.kick()
    return { success: true }
  },
})
