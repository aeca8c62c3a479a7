import { selectGroups } from '../../store/instance-groups.ts'
import { listCommand } from '../command.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { id, text } from '../parameters.ts'
import { pageOf } from '../query.ts'
import { instanceGroupView } from '../views/instance-group.ts'

export const listInstanceGroups = listCommand({
  name: 'listInstanceGroups',
  description: 'Lists groups of machines',
  permission: 'user',
  params: { ...ownershipParameters, id: id<'instance-group'>('the group'), name: text('part of the name') },
  view: instanceGroupView,
  run: ({ app, caller, params, page }) => {
    let groups = selectGroups(app.db).orderBy('instance_group.name').orderBy('instance_group.id')
    groups = narrowToOwner(groups, 'instance_group.account_id', caller, params)
    if (params.id) groups = groups.where('instance_group.id', '=', params.id)
    if (params.name) groups = groups.where('instance_group.name', 'ilike', containing(params.name))
    if (page.keyword) groups = groups.where('instance_group.name', 'ilike', containing(page.keyword))
    return pageOf(groups, page)
  },
})
