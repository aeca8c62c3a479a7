import { domainNameRefusal } from '@ramet/core/names.ts'
import { holdDomain, holdTree, renameDomain } from '../../store/domains.ts'
import { recordEvent } from '../../store/events.ts'
import { objectCommand } from '../command.ts'
import { listedDomain } from '../domains.ts'
import { managedDomain } from '../ownership.ts'
import { id, invalid, label, text } from '../parameters.ts'
import { domainView } from '../views/domain.ts'

export const updateDomain = objectCommand({
  name: 'updateDomain',
  description: 'Changes the name of a domain; the paths of all below it follow',
  permission: 'domain-admin',
  params: {
    id: id<'domain'>('the domain').must,
    name: label('new name, unique in the domain above'),
    networkdomain: text('DNS domain for its networks; it is kept and shown'),
  },
  view: domainView,
  async run({ app, caller, params }) {
    const refusal = params.name === undefined ? null : domainNameRefusal(params.name)
    if (refusal) throw invalid('name', refusal)
    const { id: wanted } = await managedDomain(app, caller, params.id)
    await app.db.transaction().execute(async tx => {
      await holdTree(tx)
      const domain = await holdDomain(tx, wanted)
      if (params.name !== undefined) await renameDomain(tx, domain, params.name)
      if (params.networkdomain !== undefined)
        await tx
          .updateTable('domain')
          .set({ network_domain: params.networkdomain || null })
          .where('id', '=', domain.id)
          .execute()
      await recordEvent(tx, {
        type: 'DOMAIN.UPDATE',
        description: `changed domain ${domain.path}${params.name ? `; its name is ${params.name}` : ''}`,
        account: caller.account.id,
        user: caller.user.id,
        resourceType: 'Domain',
        resource: domain.id,
      })
    })
    return listedDomain(app.db, wanted)
  },
})
