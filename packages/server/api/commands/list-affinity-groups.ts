import { sql, type SqlBool } from 'kysely'
import { selectAffinityGroups } from '../../store/affinity.ts'
import { listCommand } from '../command.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { id, text } from '../parameters.ts'
import { narrowTo, pageOf, reads } from '../query.ts'
import { affinityGroupView } from '../views/affinity-group.ts'

export const listAffinityGroups = listCommand({
  name: 'listAffinityGroups',
  description: 'Lists affinity groups',
  permission: 'user',
  params: {
    ...ownershipParameters,
    id: id<'affinity-group'>('the group'),
    name: text('exact name'),
    type: text('those of a type'),
    virtualmachineid: id<'vm'>('those that a machine is in'),
  },
  view: affinityGroupView,
  run: ({ app, caller, params, page }) => {
    let groups = selectAffinityGroups(app.db).orderBy('affinity_group.name').orderBy('affinity_group.id')
    groups = narrowToOwner(groups, 'affinity_group.account_id', caller, params)
    groups = narrowTo(groups, {
      'affinity_group.id': params.id,
      'affinity_group.name': params.name,
    })
    if (params.type) groups = groups.where(reads('affinity_group.type', params.type))
    if (params.virtualmachineid)
      groups = groups.where(
        sql<SqlBool>`affinity_group.id in (select group_id from affinity_group_vm where vm_id = ${params.virtualmachineid})`,
      )
    if (page.keyword) groups = groups.where('affinity_group.name', 'ilike', containing(page.keyword))
    return pageOf(groups, page)
  },
})
