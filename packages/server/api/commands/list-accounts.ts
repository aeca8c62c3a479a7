import { type RawBuilder, sql } from 'kysely'
import type { Database } from '../../store/database.ts'
import { listCommand } from '../command.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { id, integer, list, text } from '../parameters.ts'
import { pageOf, reads } from '../query.ts'
import { accountTypeNumbered, selectUsers } from '../users.ts'
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
    const type = accounttype === undefined ? undefined : accountTypeNumbered(accounttype)
    if (accounttype !== undefined && !type) return { count: 0, items: [] }
    let accounts = narrowToOwner(selectAccounts(app.db), 'account.id', caller, params)
    if (params.id) accounts = accounts.where('account.id', '=', params.id)
    if (params.name) accounts = accounts.where('account.name', '=', params.name)
    if (type) accounts = accounts.where('account.type', '=', type)
    if (params.state) accounts = accounts.where(reads('account.state', params.state))
    if (page.keyword) accounts = accounts.where('account.name', 'ilike', containing(page.keyword))
    const { count, items } = await pageOf(accounts, page)
    const ids = items.map(account => account.id)
    const users = ids.length > 0 ? await selectUsers(app.db).where('account.id', 'in', ids).execute() : []
    const usersOf = Map.groupBy(users, user => user.account_id)
    return { count, items: items.map(account => ({ ...account, users: usersOf.get(account.id) ?? [] })) }
  },
})

function selectAccounts(db: Database) {
  return db
    .selectFrom('account')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .selectAll('account')
    .select(['domain.name as domain_name', 'domain.path as domain_path'])
    .select([
      owned(sql`vm where removed is null and`).as('vms'),
      owned(sql`vm where removed is null and state = 'Running' and`).as('vms_running'),
      owned(sql`volume where removed is null and`).as('volumes'),
      owned(sql`template where removed is null and`).as('templates'),
      owned(sql`network where`).as('networks'),
    ])
    .orderBy('account.name')
    .orderBy('account.id')
}

function owned(things: RawBuilder<unknown>) {
  return sql<number>`(select count(*) from ${things} account_id = account.id)`
}
