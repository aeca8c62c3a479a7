import { sql } from 'kysely'
import { liesIn } from '../caller.ts'
import { listCommand } from '../command.ts'
import { isDomainInReach, listedDomains, selectDomains } from '../domains.ts'
import { domainInReach } from '../ownership.ts'
import { containing } from '../paging.ts'
import { flag, id, text } from '../parameters.ts'
import { pageOf } from '../query.ts'
import { domainView } from '../views/domain.ts'

export const listDomainChildren = listCommand({
  name: 'listDomainChildren',
  description: 'Lists the domains in a domain',
  permission: 'user',
  params: {
    id: id<'domain'>('the domain; the own one when absent'),
    name: text('exact name'),
    isrecursive: flag('all below it, not only those directly in it'),
    listall: flag('accepted for its clients: all that the caller may see are always listed'),
  },
  view: domainView,
  run: async ({ app, caller, params, page }) => {
    const top = params.id ? await domainInReach(app, caller, params.id, 'id') : caller.domain
    let domains = selectDomains(app.db)
      .where(isDomainInReach(caller))
      .where('domain.id', '!=', top.id)
      .where(liesIn(sql.ref('domain.path'), sql.val(top.path)))
      .orderBy('domain.path')
    if (!params.isrecursive) domains = domains.where('domain.parent_id', '=', top.id)
    if (params.name) domains = domains.where('domain.name', '=', params.name)
    if (page.keyword) domains = domains.where('domain.name', 'ilike', containing(page.keyword))
    const { count, items } = await pageOf(domains, page)
    return { count, items: await listedDomains(app.db, items) }
  },
})
