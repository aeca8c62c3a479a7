// Who calls, and what that lets them see and touch: root administrators everything, administrators of a domain what the
// accounts of that domain and of those below it own, others what their account owns. All commands ask here.
import type { AccountId, UserId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { type RawBuilder, sql, type SqlBool } from 'kysely'
import type { App } from '../app.ts'
import type { Row } from '../store/tables.ts'

export interface Caller {
  readonly user: Row<'user'>
  readonly account: Row<'account'>
  readonly domain: Row<'domain'>
}

/** What a command demands of its caller, least first. */
export const permissions = ['anyone', 'user', 'domain-admin', 'admin'] as const

export type Permission = (typeof permissions)[number]

const granted = { User: 'user', DomainAdmin: 'domain-admin', Admin: 'admin' } as const satisfies Record<
  Row<'account'>['type'],
  Permission
>

export function isAdmin({ account }: Caller): boolean {
  return account.type === 'Admin'
}

export function mayUse({ account }: Caller, permission: Permission): boolean {
  return permissions.indexOf(permission) <= permissions.indexOf(granted[account.type])
}

export function demandPermission(caller: Caller, permission: Permission, command: string): void {
  if (!mayUse(caller, permission)) throw notAvailable(command)
}

/** Clients know this very wording: they take any other 401 for the end of their session. */
export function notAvailable(command: string): Problem {
  return new Problem(
    'unauthenticated',
    'command-not-available',
    `The given command '${command}' either does not exist, is not available for user.`,
  )
}

/** The ids of all accounts that the caller speaks for, as a query; null for every account there is. */
export function accountsInReach({ account, domain }: Caller): RawBuilder<unknown> | null {
  if (account.type === 'Admin') return null
  if (account.type === 'User') return sql`select ${account.id}::uuid`
  return sql`
    select a.id from account a join domain d on d.id = a.domain_id
    where a.type <> 'Admin' and ${liesIn(sql.ref('d.path'), sql.val(domain.path))}`
}

/** Whether the domain at `path` is the one at `top`, or below it. */
export function liesIn(path: RawBuilder<unknown>, top: RawBuilder<unknown>): RawBuilder<SqlBool> {
  return sql<SqlBool>`starts_with(${path} || '/', rtrim(${top}, '/') || '/')`
}

/** Whether the caller speaks for the account; null is what belongs to nobody, and so to root administrators. */
export async function speaksFor({ db }: Pick<App, 'db'>, caller: Caller, account: AccountId | null): Promise<boolean> {
  if (isAdmin(caller) || account === caller.account.id) return true
  if (caller.account.type === 'User' || account === null) return false
  const { rows } = await sql`select where ${account}::uuid in (${accountsInReach(caller)})`.execute(db)
  return rows.length > 0
}

/** `row`, if there is one and the caller may use it. An unknown id is the parameter's fault (431), another's thing forbidden (531). */
export async function demandOwned<R extends { account_id: AccountId | null }>(
  app: Pick<App, 'db'>,
  caller: Caller,
  row: R | undefined,
  parameter: string,
  id: string,
): Promise<R> {
  if (!row) throw unknownId(parameter, id)
  if (!(await speaksFor(app, caller, row.account_id)))
    throw new Problem(
      'forbidden',
      'not-yours',
      `Account ${caller.account.name} may not use ${id} of parameter ${parameter}`,
    )
  return row
}

export function unknownId(parameter: string, id: string): Problem {
  return new Problem('invalid', 'unknown-id', `Parameter ${parameter}: there is nothing with the id ${id}`)
}

export function originOfCall(caller: Caller, command: string): { command: string; account: AccountId; user: UserId } {
  return { command, account: caller.account.id, user: caller.user.id }
}
