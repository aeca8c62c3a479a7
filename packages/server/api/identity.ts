// Finding what a call means by an account, a user or a role, if the caller may manage it.
import type { AccountId, DomainId, UserId } from '@ramet/core/ids.ts'
import { type Role, roles } from '@ramet/core/roles.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import type { Row } from '../store/tables.ts'
import { type Caller, demandOwned, isAdmin, unknownId } from './caller.ts'
import { accountNamed } from './ownership.ts'
import { id, integer, invalid, text } from './parameters.ts'

/** An account, by id or by name and domain. */
export const accountParameters = {
  id: id<'account'>('the account'),
  account: text('name of the account, instead of its id'),
  domainid: id<'domain'>('domain of the account so named; the own one when absent'),
}

interface NamedAccount {
  readonly id?: AccountId | undefined
  readonly account?: string | undefined
  readonly domainid?: DomainId | undefined
}

export async function accountOfCall(app: App, caller: Caller, named: NamedAccount): Promise<Row<'account'>> {
  if (named.id === undefined) {
    if (!named.account) throw invalid('id', 'is missing; or give account and domainid')
    return accountNamed(app, caller, named.account, named.domainid)
  }
  const row = await app.db.selectFrom('account').selectAll().where('id', '=', named.id).executeTakeFirst()
  const account = row?.removed ? undefined : row
  await demandOwned(app, caller, account && { account_id: account.id }, 'id', named.id)
  return account as Row<'account'>
}

/** The user, for whoever manages the account; somebody who does not finds only himself. */
export async function userOfCall(app: App, caller: Caller, user: UserId, parameter = 'id'): Promise<Row<'user'>> {
  const row = await app.db
    .selectFrom('user')
    .selectAll()
    .where('id', '=', user)
    .where('removed', 'is', null)
    .executeTakeFirst()
  const found = await demandOwned(app, caller, row, parameter, user)
  if (caller.account.type !== 'User' || found.id === caller.user.id) return found
  throw new Problem('forbidden', 'another-user', 'Users manage only themselves; an administrator manages others')
}

export function refuseSelf(caller: Caller, target: { account?: AccountId; user?: UserId }, doing: string): void {
  if (target.account !== caller.account.id && target.user !== caller.user.id) return
  throw new Problem(
    'refused',
    'own-account',
    `Nobody can ${doing} the account or user that makes the call; use another`,
  )
}

export const roleParameters = {
  accounttype: integer('0 user, 1 administrator, 2 administrator of a domain; or give roleid', 0, 2),
  roleid: id<'role'>('the role, as listRoles tells it; or give accounttype'),
}

/** The role asked for, if the caller may give it away. */
export function chosenRole(
  caller: Caller,
  { roleid, accounttype }: { roleid?: string | undefined; accounttype?: number | undefined },
): Role | undefined {
  const byId = roles.find(role => role.id === roleid)
  const byType = roles.find(role => role.accountType === accounttype)
  if (roleid !== undefined && !byId) throw unknownId('roleid', roleid)
  if (byId && byType && byId !== byType) throw invalid('accounttype', `is not that of the role ${byId.name} (roleid)`)
  const role = byId ?? byType
  if (role?.type === 'Admin' && !isAdmin(caller))
    throw new Problem('forbidden', 'role-too-high', 'Only root administrators make root administrators')
  return role
}
