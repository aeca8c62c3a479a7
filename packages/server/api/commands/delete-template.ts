import { deleteTemplate as deleteTemplateJob } from '../../jobs/delete-template.ts'
import { demandOwned, originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { flag, id } from '../parameters.ts'

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
    const row = await app.db
      .selectFrom('template')
      .selectAll()
      .where('id', '=', params.id)
      .where('removed', 'is', null)
      .executeTakeFirst()
    const template = await demandOwned(app, caller, row, 'id', params.id)
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
