import { listCommand } from '../command.ts'
import { isDomainInReach, listedDomains, selectDomains } from '../domains.ts'
import { containing } from '../paging.ts'
import { flag, id, integer, list, text } from '../parameters.ts'
import { narrowTo, pageOf } from '../query.ts'
import { domainView } from '../views/domain.ts'

export const listDomains = listCommand({
  name: 'listDomains',
  description: 'Lists domains: for administrators theirs and all below it, for others their own',
  permission: 'user',
  params: {
    id: id<'domain'>('the domain'),
    name: text('exact name'),
    level: integer('those at a depth; 0 is the root', 0, 1000),
    listall: flag('accepted for its clients: all that the caller may see are always listed'),
    details: list('accepted for its clients; all details are always told', text('a part')),
  },
  view: domainView,
  run: async ({ app, caller, params, page }) => {
    let domains = selectDomains(app.db).where(isDomainInReach(caller)).orderBy('domain.path')
    domains = narrowTo(domains, {
      'domain.id': params.id,
      'domain.name': params.name,
      'domain.level': params.level,
    })
    if (page.keyword) domains = domains.where('domain.name', 'ilike', containing(page.keyword))
    const { count, items } = await pageOf(domains, page)
    return { count, items: await listedDomains(app.db, items) }
  },
})
