import { newId } from '@ramet/core/ids.ts'
import { domainNameRefusal } from '@ramet/core/names.ts'
import { holdDomain, holdTree, insertDomain } from '../../store/domains.ts'
import { recordEvent } from '../../store/events.ts'
import { objectCommand } from '../command.ts'
import { listedDomain } from '../domains.ts'
import { demandFreeId } from '../new-user.ts'
import { domainInReach } from '../ownership.ts'
import { id, invalid, label, text } from '../parameters.ts'
import { domainView } from '../views/domain.ts'

export const createDomain = objectCommand({
  name: 'createDomain',
  description: 'Creates a domain below another',
  permission: 'domain-admin',
  params: {
    name: label('name, unique in the domain above').must,
    parentdomainid: id<'domain'>('the domain above; the own one when absent'),
    networkdomain: text('DNS domain for its networks; it is kept and shown'),
    domainid: id<'domain'>('the id that the domain is to have; made up when absent'),
  },
  view: domainView,
  async run({ app, caller, params }) {
    const refusal = domainNameRefusal(params.name)
    if (refusal) throw invalid('name', refusal)
    const { parentdomainid } = params
    const above = parentdomainid ? await domainInReach(app, caller, parentdomainid, 'parentdomainid') : caller.domain
    const domain = params.domainid ?? newId<'domain'>()
    await app.db.transaction().execute(async tx => {
      await holdTree(tx)
      await demandFreeId(tx, 'domain', 'domainid', domain)
      const made = { id: domain, name: params.name, networkDomain: params.networkdomain || null }
      const { path } = await insertDomain(tx, await holdDomain(tx, above.id), made)
      await recordEvent(tx, {
        type: 'DOMAIN.CREATE',
        description: `created domain ${path}`,
        account: caller.account.id,
        user: caller.user.id,
        resourceType: 'Domain',
        resource: domain,
      })
    })
    return listedDomain(app.db, domain)
  },
})
