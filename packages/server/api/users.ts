// Users and accounts as the API shows them: who may see whose keys, and what CloudStack calls the kinds of accounts.
import type { UserId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import type { Database } from '../store/database.ts'
import type { AccountType, Row } from '../store/tables.ts'
import { type Caller, isAdmin, unknownId } from './caller.ts'

/** The user `id`, for whoever may see that user's keys. */
export async function userWithKeys(app: App, caller: Caller, id: UserId): Promise<Row<'user'>> {
  if (id !== caller.user.id && !isAdmin(caller))
    throw new Problem('forbidden', 'keys-of-another', 'API keys are for their user and for administrators only')
  const user = await app.db.selectFrom('user').selectAll().where('id', '=', id).executeTakeFirst()
  if (!user) throw unknownId('id', id)
  return user
}

export const accountTypes = {
  User: { number: 0, role: 'User' },
  Admin: { number: 1, role: 'Root Admin' },
  DomainAdmin: { number: 2, role: 'Domain Admin' },
} as const satisfies Record<AccountType, { number: number; role: string }>

/** The type with CloudStack's number; undefined where there is none. */
export function accountTypeNumbered(number: number): AccountType | undefined {
  return (['User', 'Admin', 'DomainAdmin'] as const).find(type => accountTypes[type].number === number)
}

export function selectUsers(db: Database) {
  return db
    .selectFrom('user')
    .innerJoin('account', 'account.id', 'user.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .select(['user.id', 'user.account_id', 'user.username', 'user.firstname', 'user.lastname', 'user.email'])
    .select(['user.state', 'user.created', 'account.name as account_name', 'account.type as account_type'])
    .select(['domain.id as domain_id', 'domain.name as domain_name'])
    .orderBy('user.username')
    .orderBy('user.id')
}
