// Users as the API shows them, and who may see whose keys.
import type { UserId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import type { Db } from '../store/database.ts'
import type { Row } from '../store/tables.ts'
import { type Caller, demandOwned } from './caller.ts'

/** The user `id`, for whoever may see that user's keys. */
export async function userWithKeys(app: App, caller: Caller, id: UserId): Promise<Row<'user'>> {
  if (caller.account.type === 'User' && id !== caller.user.id)
    throw new Problem('forbidden', 'keys-of-another', 'API keys are for their user and for administrators only')
  const user = await app.db
    .selectFrom('user')
    .selectAll()
    .where('id', '=', id)
    .where('removed', 'is', null)
    .executeTakeFirst()
  return demandOwned(app, caller, user, 'id', id)
}

export function selectUsers(db: Db) {
  return db
    .selectFrom('user')
    .innerJoin('account', 'account.id', 'user.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .select([
      'user.id',
      'user.account_id',
      'user.username',
      'user.firstname',
      'user.lastname',
      'user.email',
      'user.timezone',
    ])
    .select(['user.state', 'user.created', 'account.name as account_name', 'account.type as account_type'])
    .select(['domain.id as domain_id', 'domain.name as domain_name'])
    .where('user.removed', 'is', null)
    .orderBy('user.username')
    .orderBy('user.id')
}
