// An asynchronous job on the wire. Its result is made from its objects when it is asked for.
import { jobStatusNumber } from '@ramet/core/job-state.ts'
import type { ListedJob } from '../job-query.ts'
import { wireCodes } from '../errors.ts'
import { date, integer, map, string, view } from '../view.ts'

export type JobOnWire = ListedJob & { readonly answer?: Record<string, unknown> | undefined }

export const jobView = view<JobOnWire>('asyncjobs', {
  jobid: string('the id of the job', job => job.id),
  cmd: string('the command that started it', job => job.command),
  jobstatus: integer('0 pending, 1 done, 2 failed, 3 cancelled', job => jobStatusNumber(job.state)),
  jobprocstatus: integer('0', () => 0),
  jobresultcode: integer('0, or the error code', job =>
    job.problem && job.completed ? wireCodes[job.problem.kind].http : 0,
  ),
  jobresulttype: string('object', () => 'object'),
  jobresult: map('the result, or the error', job => job.answer),
  jobinstancetype: string('what it works on', job => job.instance_type),
  jobinstanceid: string('the id of that', job => job.instance_id),
  jobstate: string('queued, running, undoing, stuck, done, failed, cancelled', job => job.state),
  jobstep: string('the step it is at', job => job.step),
  jobprogress: integer('how far it is, in percent', job => job.percent),
  joberror: string('why it is being undone or is stuck', job => (job.completed ? undefined : job.problem?.message)),
  accountid: string('the account that started it', job => job.account_id),
  account: string('the name of that account', job => job.account_name),
  domainid: string('the domain of that account', job => job.domain_id),
  domainpath: string('the path of that domain', job => job.domain_path),
  userid: string('the user who started it', job => job.user_id),
  created: date('when it was started', job => job.created),
  completed: date('when it ended', job => job.completed),
})
