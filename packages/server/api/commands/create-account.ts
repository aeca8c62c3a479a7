import { newId } from '@ramet/core/ids.ts'
import { insertAccount } from '../../store/accounts.ts'
import { holdDomain } from '../../store/domains.ts'
import { recordEvent } from '../../store/events.ts'
import { listedAccount } from '../accounts.ts'
import { objectCommand } from '../command.ts'
import { chosenRole, roleParameters } from '../identity.ts'
import { demandFreeId, insertUser, readNewUser, userParameters } from '../new-user.ts'
import { domainInReach } from '../ownership.ts'
import { id, invalid, label, map, text } from '../parameters.ts'
import { accountView } from '../views/account.ts'

export const createAccount = objectCommand({
  name: 'createAccount',
  description: 'Creates an account with its first user',
  permission: 'domain-admin',
  params: {
    ...userParameters,
    ...roleParameters,
    account: label('name of the account, unique in its domain; that of the user when absent'),
    domainid: id<'domain'>('domain of the account; the own one when absent'),
    accountid: id<'account'>('the id that the account is to have; made up when absent'),
    networkdomain: text('DNS domain for its networks; it is kept and shown'),
    accountdetails: map('notes about it'),
  },
  view: accountView,
  async run({ app, caller, params }) {
    const role = chosenRole(caller, params)
    if (!role) throw invalid('accounttype', 'is missing; or give roleid')
    const domain = params.domainid ? await domainInReach(app, caller, params.domainid) : caller.domain
    if (role.type === 'Admin' && domain.level > 0)
      throw invalid(
        params.roleid ? 'roleid' : 'accounttype',
        'is for root administrators, who belong to the domain ROOT; leave out domainid, or make a domain administrator',
      )
    const account = params.accountid ?? newId<'account'>()
    const user = await readNewUser(params)
    await app.db.transaction().execute(async tx => {
      await holdDomain(tx, domain.id)
      await demandFreeId(tx, 'account', 'accountid', account)
      const row = await insertAccount(tx, {
        id: account,
        domain_id: domain.id,
        name: params.account || params.username,
        type: role.type,
        network_domain: params.networkdomain || null,
        details: JSON.stringify(Object.fromEntries(params.accountdetails)),
      })
      await recordEvent(tx, {
        type: 'ACCOUNT.CREATE',
        description: `created account ${row.name} in domain ${domain.path}`,
        account,
        user: caller.user.id,
        resourceType: 'Account',
        resource: account,
      })
      await insertUser(tx, caller, row, user)
    })
    return listedAccount(app.db, account)
  },
})
