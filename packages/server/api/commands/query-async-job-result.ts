import { isAdmin } from '../caller.ts'
import { plainCommand } from '../command.ts'
import { answerOf, jobOfCall } from '../job-query.ts'
import { id } from '../parameters.ts'
import { render } from '../view.ts'
import { jobView } from '../views/job.ts'
import { commands } from './index.ts'

export const queryAsyncJobResult = plainCommand({
  name: 'queryAsyncJobResult',
  description: 'How far a job is, and its result when it has ended',
  permission: 'user',
  params: { jobid: id<'job'>('the job').must },
  answer: jobView,
  async run({ app, caller, params }) {
    const job = await jobOfCall(app, caller, params.jobid)
    const command = commands.find(each => each.name === job.command)
    return render(jobView, { ...job, answer: await answerOf(app, caller, job, command) }, isAdmin(caller))
  },
})
