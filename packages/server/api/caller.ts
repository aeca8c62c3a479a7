// Who calls, and what that lets them see and touch. Root administrators reach everything, others what their account owns.
import type { AccountId, UserId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Row } from '../store/tables.ts'

export interface Caller {
  readonly user: Row<'user'>
  readonly account: Row<'account'>
  readonly domain: Row<'domain'>
}

/** What a command demands of its caller. */
export type Permission = 'anyone' | 'user' | 'admin'

export function isAdmin({ account }: Caller): boolean {
  return account.type === 'Admin'
}

export function demandPermission(caller: Caller, permission: Permission, command: string): void {
  if (permission === 'admin' && !isAdmin(caller))
    throw new Problem(
      'unauthenticated',
      'command-not-available',
      `The given command '${command}' either does not exist, is not available for user.`,
    )
}

/** The account whose things a list shows: null for all of them. Even an administrator sees all only when asking for it. */
export function visibleAccount(caller: Caller, listall: boolean): AccountId | null {
  return isAdmin(caller) && listall ? null : caller.account.id
}

/** `row`, if there is one and the caller may use it. An unknown id is the parameter's fault (431), another's thing forbidden (531). */
export function demandOwned<R extends { account_id: AccountId | null }>(
  caller: Caller,
  row: R | undefined,
  parameter: string,
  id: string,
): R {
  if (!row) throw unknownId(parameter, id)
  if (!isAdmin(caller) && row.account_id !== caller.account.id)
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
