import { roles } from '@ramet/core/roles.ts'
import { listedAccounts, selectAccounts } from '../accounts.ts'
import { listCommand } from '../command.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { id, integer, list, text } from '../parameters.ts'
import { narrowTo, pageOf, reads } from '../query.ts'
import { accountView } from '../views/account.ts'

export const listAccounts = listCommand({
  name: 'listAccounts',
  description: 'Lists accounts, with their users and what they own',
  permission: 'user',
  params: {
    ...ownershipParameters,
    id: id<'account'>('the account'),
    name: text('exact name'),
    accounttype: integer('those of a type: 0 user, 1 administrator, 2 administrator of a domain', 0, 5),
    state: text('enabled or disabled'),
    details: list('accepted for its clients; all details are always told', text('a part')),
  },
  view: accountView,
  run: async ({ app, caller, params, page }) => {
    const { accounttype } = params
    const type = accounttype === undefined ? undefined : roles.find(role => role.accountType === accounttype)?.type
    if (accounttype !== undefined && !type) return { count: 0, items: [] }
    let accounts = narrowToOwner(
      selectAccounts(app.db).orderBy('account.name').orderBy('account.id'),
      'account.id',
      caller,
      params,
    )
    accounts = narrowTo(accounts, {
      'account.id': params.id,
      'account.name': params.name,
    })
    if (type) accounts = accounts.where('account.type', '=', type)
    if (params.state) accounts = accounts.where(reads('account.state', params.state))
    if (page.keyword) accounts = accounts.where('account.name', 'ilike', containing(page.keyword))
    const { count, items } = await pageOf(accounts, page)
    return { count, items: await listedAccounts(app.db, items) }
  },
})
