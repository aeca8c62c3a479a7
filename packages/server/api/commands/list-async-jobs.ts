import { listCommand } from '../command.ts'
import { answerOf, selectJobs } from '../job-query.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { date, id, text } from '../parameters.ts'
import { pageOf } from '../query.ts'
import { jobView } from '../views/job.ts'
import { commands } from './index.ts'

export const listAsyncJobs = listCommand({
  name: 'listAsyncJobs',
  description: 'Lists jobs, newest first; ended ones until they expire',
  permission: 'user',
  params: {
    ...ownershipParameters,
    startdate: date('only those started since'),
    resourceid: id<'resource'>('only those that work on this object'),
    jobstate: text('only those in a state, such as stuck'),
  },
  view: jobView,
  async run({ app, caller, params, page }) {
    let jobs = selectJobs(app.db).orderBy('job.sequence', 'desc')
    jobs = narrowToOwner(jobs, 'job.account_id', caller, params)
    if (params.startdate) jobs = jobs.where('job.created', '>=', params.startdate)
    if (params.resourceid) jobs = jobs.where('job.instance_id', '=', params.resourceid)
    if (params.jobstate) jobs = jobs.where('job.state', '=', params.jobstate as 'stuck')
    if (page.keyword) jobs = jobs.where('job.command', 'ilike', containing(page.keyword))
    const { count, items } = await pageOf(jobs, page)
    const answered = items.map(async job => {
      const command = commands.find(each => each.name === job.command)
      return { ...job, answer: await answerOf(app, caller, job, command) }
    })
    return { count, items: await Promise.all(answered) }
  },
})
