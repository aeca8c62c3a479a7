import { listCommand } from '../command.ts'
import { imageFilters, imageListParameters, imagePage, selectImages } from '../image-list.ts'
import { choice, id } from '../parameters.ts'
import { templateView } from '../views/template.ts'

export const listTemplates = listCommand({
  name: 'listTemplates',
  description: 'Lists templates',
  permission: 'user',
  params: {
    ...imageListParameters,
    templatefilter: choice('which', imageFilters).must,
    storageid: id<'storage-pool'>('those with a copy on a primary storage'),
  },
  view: templateView,
  run({ app, caller, params, page }) {
    const { storageid } = params
    const templates = selectImages(app, caller, 'template', params.templatefilter, params, page)
    if (!storageid) return imagePage(templates, page)
    const onPool = templates.where(eb =>
      eb.exists(
        eb
          .selectFrom('template_spool_ref as r')
          .select('r.id')
          .whereRef('r.template_id', '=', 'template.id')
          .where('r.pool_id', '=', storageid),
      ),
    )
    return imagePage(onPool, page)
  },
})
