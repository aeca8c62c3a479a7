import { deleteTemplate as deleteTemplateJob } from '../../jobs/delete-template.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { flag, id } from '../parameters.ts'
import { imageOfCall } from '../template-call.ts'

export const deleteTemplate = jobCommand({
  name: 'deleteTemplate',
  description:
    'Deletes a template. Machines made from it live on; what linked clones stand on goes with the last of them',
  permission: 'user',
  params: {
    id: id<'template'>('the template').must,
    zoneid: id<'zone'>('accepted'),
    forced: flag('accepted: a template in use can be deleted in any case'),
  },
  async run({ app, caller, params }) {
    const template = await imageOfCall(app, caller, params.id, 'template')
    return {
      jobid: await app.jobs.start(
        app.db,
        deleteTemplateJob,
        { template: template.id },
        originOfCall(caller, 'deleteTemplate'),
      ),
    }
  },
})
