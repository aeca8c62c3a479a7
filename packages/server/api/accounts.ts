// Accounts as the API shows them, with their users and what they own.
import { sql } from 'kysely'
import type { Db } from '../store/database.ts'
import { roomsOf } from '../store/limits.ts'
import { selectUsers } from './users.ts'
import type { ListedAccount } from './views/account.ts'

export function selectAccounts(db: Db) {
  return db
    .selectFrom('account')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .selectAll('account')
    .select(['domain.name as domain_name', 'domain.path as domain_path'])
    .select([
      sql<number>`(select count(*) from vm where account_id = account.id and removed is null)`.as('vms'),
      sql<number>`(select count(*) from vm where account_id = account.id and removed is null and state = 'Running')`.as(
        'vms_running',
      ),
      sql<number>`(select count(*) from network where account_id = account.id)`.as('networks'),
    ])
    .where('account.removed', 'is', null)
}

export type FoundAccount = Awaited<ReturnType<ReturnType<typeof selectAccounts>['execute']>>[number]

export async function listedAccounts(db: Db, accounts: readonly FoundAccount[]): Promise<ListedAccount[]> {
  const ids = accounts.map(account => account.id)
  const users = ids.length > 0 ? await selectUsers(db).where('account.id', 'in', ids).execute() : []
  const usersOf = Map.groupBy(users, user => user.account_id)
  const owners = accounts.map(({ id, type }) => ({ id, isUnlimited: type === 'Admin' }))
  const roomOf = await roomsOf(db, 'account', owners)
  return accounts.map(account => ({ ...account, users: usersOf.get(account.id) ?? [], room: roomOf(account.id) }))
}

export async function listedAccount(db: Db, id: FoundAccount['id']): Promise<ListedAccount> {
  const found = await selectAccounts(db).where('account.id', '=', id).execute()
  return (await listedAccounts(db, found))[0] as ListedAccount
}
