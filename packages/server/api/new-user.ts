// A new user, on its own or with a new account.
import { newId, type UserId } from '@ramet/core/ids.ts'
import { hashPassword } from '../secrets.ts'
import { demandFreeUsername } from '../store/accounts.ts'
import type { Tx } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import type { Row } from '../store/tables.ts'
import type { Caller } from './caller.ts'
import { id, invalid, label, longText, text, type Values } from './parameters.ts'

export const userParameters = {
  username: label('name to log in with, unique in the domain').must,
  password: longText('password to log in with', 1024).must,
  email: label('mail address').must,
  firstname: label('first name').must,
  lastname: label('last name').must,
  timezone: text('time zone, such as Europe/Vienna; it is kept and shown'),
  userid: id<'user'>('the id that the user is to have; made up when absent'),
}

type NewUser = Omit<Values<typeof userParameters>, 'password'> & { readonly passwordHash: string }

/** Takes its time, so before the transaction. */
export async function readNewUser({ password, ...rest }: Values<typeof userParameters>): Promise<NewUser> {
  return { ...rest, passwordHash: await hashPassword(password) }
}

export async function insertUser(tx: Tx, caller: Caller, account: Row<'account'>, user: NewUser): Promise<UserId> {
  await demandFreeUsername(tx, account.domain_id, user.username)
  const made = user.userid ?? newId<'user'>()
  await demandFreeId(tx, 'user', 'userid', made)
  await tx
    .insertInto('user')
    .values({
      id: made,
      account_id: account.id,
      username: user.username,
      password_hash: user.passwordHash,
      firstname: user.firstname,
      lastname: user.lastname,
      email: user.email,
      timezone: user.timezone || null,
    })
    .execute()
  await recordEvent(tx, {
    type: 'USER.CREATE',
    description: `created user ${user.username}`,
    account: account.id,
    user: caller.user.id,
    resourceType: 'User',
    resource: made,
  })
  return made
}

/** Callers may choose ids; one that is or was in use is refused. */
export async function demandFreeId(
  tx: Tx,
  table: 'user' | 'account' | 'domain',
  parameter: string,
  wanted: string,
): Promise<void> {
  const taken = await tx
    .selectFrom(table)
    .select('id')
    .where('id', '=', wanted as never)
    .executeTakeFirst()
  if (taken) throw invalid(parameter, `is in use already: ${wanted}`)
}
