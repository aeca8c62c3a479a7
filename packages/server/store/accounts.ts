// Accounts and their users. Both stay in the database when they are gone, since the audit trail speaks of them; what could
// still open a door (passwords, keys, sessions) does not.
import type { AccountId, DomainId, UserId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { type Insertable, sql } from 'kysely'
import type { Tx } from './database.ts'
import type { AccountState, Row, Tables } from './tables.ts'

export type Account = Row<'account'>
export type User = Row<'user'>

/** The account's row, locked until the transaction ends. */
export async function holdAccount(tx: Tx, id: AccountId): Promise<Account> {
  const account = await tx.selectFrom('account').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
  if (!account || account.removed)
    throw new Problem('invalid', 'unknown-account', `There is no account ${account?.name ?? id}`)
  return account
}

/** Its removal has begun: what were made now would be left behind, or stand in its way. */
export function demandStaying({
  name,
  cleanup_needed,
  removed,
}: Pick<Account, 'name' | 'cleanup_needed' | 'removed'>): void {
  if (cleanup_needed || removed)
    throw new Problem('refused', 'account-ending', `Account ${name} is being deleted; nothing is made for it any more`)
}

/** The account came with the installation, and is the last way in. */
export function demandNotFirst({ name, number }: Account): void {
  if (number === 1)
    throw new Problem('refused', 'first-account', `Account ${name} came with the installation and stays as it is`)
}

export async function insertAccount(tx: Tx, account: Insertable<Tables['account']>): Promise<Account> {
  await demandFreeAccountName(tx, account.domain_id, account.name, 'account')
  return tx.insertInto('account').values(account).returningAll().executeTakeFirstOrThrow()
}

/** Of two calls that want one name at once, the second waits until the first has it or not. */
export async function demandFreeAccountName(tx: Tx, domain: DomainId, name: string, parameter: string): Promise<void> {
  await holdText(tx, `ramet.account ${domain} ${name}`)
  const taken = await tx
    .selectFrom('account')
    .select('id')
    .where('domain_id', '=', domain)
    .where('name', '=', name)
    .where('removed', 'is', null)
    .executeTakeFirst()
  if (taken)
    throw new Problem('refused', 'name-taken', `Parameter ${parameter}: the domain has an account "${name}" already`)
}

async function holdText(tx: Tx, text: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${text}, 0))`.execute(tx)
}

/** User names are unique within a domain, since people log in by name and domain. */
export async function demandFreeUsername(tx: Tx, domain: DomainId, username: string): Promise<void> {
  await holdText(tx, `ramet.user ${domain} ${username}`)
  const taken = await tx
    .selectFrom('user')
    .innerJoin('account', 'account.id', 'user.account_id')
    .select('user.id')
    .where('account.domain_id', '=', domain)
    .where('username', '=', username)
    .where('user.removed', 'is', null)
    .executeTakeFirst()
  if (taken)
    throw new Problem('refused', 'name-taken', `Parameter username: the domain has a user "${username}" already`)
}

export async function setAccountState(tx: Tx, id: AccountId, state: AccountState): Promise<void> {
  await tx.updateTable('account').set({ state }).where('id', '=', id).execute()
  if (state === 'enabled') return
  const users = await tx.selectFrom('user').select('id').where('account_id', '=', id).execute()
  for (const user of users) await endSessions(tx, user.id)
}

export async function setUserState(tx: Tx, id: UserId, state: AccountState): Promise<void> {
  await tx.updateTable('user').set({ state }).where('id', '=', id).execute()
  if (state !== 'enabled') await endSessions(tx, id)
}

export async function endSessions(tx: Tx, user: UserId): Promise<void> {
  await tx.deleteFrom('session').where('user_id', '=', user).execute()
}

/** The user is gone: nothing is left that opens a door. */
export async function forgetUser(tx: Tx, id: UserId): Promise<void> {
  await endSessions(tx, id)
  await tx
    .updateTable('user')
    .set({ state: 'disabled', password_hash: '', api_key: null, secret_key_sealed: null, removed: new Date() })
    .where('id', '=', id)
    .execute()
}

export async function usersOf(tx: Tx, account: AccountId): Promise<User[]> {
  return tx.selectFrom('user').selectAll().where('account_id', '=', account).where('removed', 'is', null).execute()
}
