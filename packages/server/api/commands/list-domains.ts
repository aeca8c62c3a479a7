import { sql } from 'kysely'
import { isAdmin } from '../caller.ts'
import { listCommand } from '../command.ts'
import { containing } from '../paging.ts'
import { flag, id, integer, text } from '../parameters.ts'
import { pageOf } from '../query.ts'
import { domainView } from '../views/domain.ts'

export const listDomains = listCommand({
  name: 'listDomains',
  description: 'Lists domains: all of them for administrators, the own one for others',
  permission: 'user',
  params: {
    id: id<'domain'>('the domain'),
    name: text('exact name'),
    level: integer('those at a depth; 0 is the root', 0, 1000),
    listall: flag('accepted for its clients'),
  },
  view: domainView,
  run: ({ app, caller, params, page }) => {
    let domains = app.db
      .selectFrom('domain')
      .leftJoin('domain as parent', 'parent.id', 'domain.parent_id')
      .selectAll('domain')
      .select('parent.name as parent_name')
      .select(sql<boolean>`exists (select from domain child where child.parent_id = domain.id)`.as('has_child'))
      .orderBy('domain.path')
    if (!isAdmin(caller)) domains = domains.where('domain.id', '=', caller.domain.id)
    if (params.id) domains = domains.where('domain.id', '=', params.id)
    if (params.name) domains = domains.where('domain.name', '=', params.name)
    if (params.level !== undefined) domains = domains.where('domain.level', '=', params.level)
    if (page.keyword) domains = domains.where('domain.name', 'ilike', containing(page.keyword))
    return pageOf(domains, page)
  },
})
