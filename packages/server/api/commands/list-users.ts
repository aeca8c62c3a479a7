import { roles } from '@ramet/core/roles.ts'
import { listCommand } from '../command.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { id, integer, text } from '../parameters.ts'
import { narrowTo, pageOf, reads } from '../query.ts'
import { selectUsers } from '../users.ts'
import { userView } from '../views/user.ts'

export const listUsers = listCommand({
  name: 'listUsers',
  description: 'Lists users',
  permission: 'user',
  params: {
    ...ownershipParameters,
    id: id<'user'>('the user'),
    username: text('exact name'),
    accounttype: integer('those of accounts of a type: 0 user, 1 administrator, 2 administrator of a domain', 0, 5),
    state: text('enabled or disabled'),
  },
  view: userView,
  run: async ({ app, caller, params, page }) => {
    const { accounttype } = params
    const type = accounttype === undefined ? undefined : roles.find(role => role.accountType === accounttype)?.type
    if (accounttype !== undefined && !type) return { count: 0, items: [] }
    let users = narrowToOwner(selectUsers(app.db), 'user.account_id', caller, params)
    users = narrowTo(users, {
      'user.id': params.id,
      'user.username': params.username,
    })
    if (type) users = users.where('account.type', '=', type)
    if (params.state) users = users.where(reads('user.state', params.state))
    if (page.keyword) users = users.where('user.username', 'ilike', containing(page.keyword))
    return pageOf(users, page)
  },
})
