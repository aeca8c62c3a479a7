import { deleteTemplate } from '../../jobs/delete-template.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { imageOfCall } from '../template-call.ts'

export const deleteIso = jobCommand({
  name: 'deleteIso',
  description: 'Deletes an ISO that is in no machine’s drive',
  permission: 'user',
  params: { id: id<'template'>('the ISO').must, zoneid: id<'zone'>('accepted') },
  async run({ app, caller, params }) {
    const { id: template } = await imageOfCall(app, caller, params.id, 'iso')
    return { jobid: await app.jobs.start(app.db, deleteTemplate, { template }, originOfCall(caller, 'deleteIso')) }
  },
})
