import { listCommand } from '../command.ts'
import { containing } from '../paging.ts'
import { id, ids, text } from '../parameters.ts'
import { narrowTo, pageOf } from '../query.ts'
import { osTypeView } from '../views/os-type.ts'

export const listOsTypes = listCommand({
  name: 'listOsTypes',
  description: 'Lists guest operating systems',
  permission: 'user',
  params: {
    id: id<'os-type'>('the operating system'),
    ids: ids<'os-type'>('the operating systems'),
    oscategoryid: id<'os-category'>('those of a family'),
    description: text('exact name'),
  },
  view: osTypeView,
  run: ({ app, params, page }) => {
    let types = app.db
      .selectFrom('os_type')
      .innerJoin('os_category', 'os_category.id', 'os_type.category_id')
      .selectAll('os_type')
      .select('os_category.name as category_name')
      .orderBy('os_type.description')
    types = narrowTo(types, {
      'os_type.id': params.id,
      'os_type.category_id': params.oscategoryid,
      'os_type.description': params.description,
    })
    if (params.ids) types = types.where('os_type.id', 'in', params.ids)
    if (page.keyword) types = types.where('os_type.description', 'ilike', containing(page.keyword))
    return pageOf(types, page)
  },
})
