import { findOrPrepare } from '../../jobs/template-on-pool.ts'
import { type ListedTemplate, listedTemplate } from '../../store/template-list.ts'
import { originOfCall, unknownId } from '../caller.ts'
import { objectCommand } from '../command.ts'
import { chosenTemplate, chosenZone } from '../deployment.ts'
import { id } from '../parameters.ts'
import { templateView } from '../views/template.ts'

export const prepareTemplate = objectCommand({
  name: 'prepareTemplate',
  description:
    'Copies a template to primary storage ahead of its first deployment; progress is in downloaddetails of listTemplates',
  permission: 'admin',
  params: {
    zoneid: id<'zone'>('the zone').must,
    templateid: id<'template'>('the template').must,
    storageid: id<'storage-pool'>('one primary storage; absent: all that are Up'),
  },
  view: templateView,
  asList: true,
  async run({ app, caller, params }): Promise<ListedTemplate> {
    await chosenZone(app, params.zoneid)
    const template = await chosenTemplate(app, caller, params.templateid)
    const up = await app.db
      .selectFrom('storage_pool')
      .select('id')
      .where('state', '=', 'Up')
      .where('problem', 'is', null)
      .execute()
    const pools = up.filter(pool => !params.storageid || pool.id === params.storageid)
    if (params.storageid && pools.length === 0) throw unknownId('storageid', params.storageid)
    await app.db.transaction().execute(async tx => {
      for (const pool of pools)
        await findOrPrepare(tx, app.jobs, template.id, pool.id, originOfCall(caller, 'prepareTemplate'))
    })
    return (await listedTemplate(app.db, template.id)) as ListedTemplate
  },
})
