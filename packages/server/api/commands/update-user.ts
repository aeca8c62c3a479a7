import { Problem } from '@ramet/core/problem.ts'
import { hashPassword, passwordMatches } from '../../secrets.ts'
import { demandFreeUsername, endSessions } from '../../store/accounts.ts'
import { recordEvent } from '../../store/events.ts'
import type { Row } from '../../store/tables.ts'
import type { Caller } from '../caller.ts'
import { objectCommand } from '../command.ts'
import { userOfCall } from '../identity.ts'
import { id, invalid, label, longText, text } from '../parameters.ts'
import { selectUsers } from '../users.ts'
import { userView } from '../views/user.ts'

export const updateUser = objectCommand({
  name: 'updateUser',
  description: 'Changes name, mail address or password of a user; a new password ends the sessions of the user',
  permission: 'user',
  params: {
    id: id<'user'>('the user').must,
    username: label('new name to log in with'),
    firstname: label('new first name'),
    lastname: label('new last name'),
    email: label('new mail address'),
    password: longText('new password', 1024),
    currentpassword: longText('the password so far; administrators need not tell it', 1024),
    timezone: text('new time zone; empty: none'),
  },
  view: userView,
  async run({ app, caller, params }) {
    const user = await userOfCall(app, caller, params.id)
    if (params.password === '') throw invalid('password', 'must not be empty')
    if (params.password !== undefined) await demandPassword(caller, user, params.currentpassword)
    const hash = params.password === undefined ? undefined : await hashPassword(params.password)
    return app.db.transaction().execute(async tx => {
      const { domain_id } = await tx
        .selectFrom('account')
        .select('domain_id')
        .where('id', '=', user.account_id)
        .executeTakeFirstOrThrow()
      if (params.username !== undefined && params.username !== user.username)
        await demandFreeUsername(tx, domain_id, params.username)
      await tx
        .updateTable('user')
        .set(eb => ({
          username: params.username ?? eb.ref('username'),
          firstname: params.firstname ?? eb.ref('firstname'),
          lastname: params.lastname ?? eb.ref('lastname'),
          email: params.email ?? eb.ref('email'),
          password_hash: hash ?? eb.ref('password_hash'),
          timezone: params.timezone === undefined ? eb.ref('timezone') : params.timezone || null,
        }))
        .where('id', '=', user.id)
        .execute()
      if (hash) await endSessions(tx, user.id)
      await recordEvent(tx, {
        type: 'USER.UPDATE',
        description: `changed user ${params.username ?? user.username}${hash ? ', with a new password' : ''}`,
        account: user.account_id,
        user: caller.user.id,
        resourceType: 'User',
        resource: user.id,
      })
      return selectUsers(tx).where('user.id', '=', user.id).executeTakeFirstOrThrow()
    })
  },
})

/** Whoever finds an open session, or a lost key, must not take the user's place by it. */
async function demandPassword(caller: Caller, user: Row<'user'>, current: string | undefined): Promise<void> {
  if (caller.account.type !== 'User') return
  if (!current) throw invalid('currentpassword', 'is missing; it is needed for a new password')
  if (!(await passwordMatches(current, user.password_hash)))
    throw new Problem('forbidden', 'wrong-password', 'Parameter currentpassword is not the password of the user')
}
