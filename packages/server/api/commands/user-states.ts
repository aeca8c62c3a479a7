// Users are let in or kept out by three commands that differ in a word.
import { demandNotFirst, holdAccount, setUserState } from '../../store/accounts.ts'
import { recordEvent } from '../../store/events.ts'
import type { AccountState } from '../../store/tables.ts'
import type { Command } from '../command.ts'
import { objectCommand } from '../command.ts'
import { refuseSelf, userOfCall } from '../identity.ts'
import { id } from '../parameters.ts'
import { selectUsers } from '../users.ts'
import { userView } from '../views/user.ts'

export const disableUser = userState('disable', 'disabled', 'Keeps a user out: no login, no calls; open sessions end')
export const enableUser = userState('enable', 'enabled', 'Lets a disabled or locked user in again')
export const lockUser = userState('lock', 'locked', 'Locks a user: no login, no calls; open sessions end')

function userState(verb: 'enable' | 'disable' | 'lock', state: AccountState, description: string): Command {
  return objectCommand({
    name: `${verb}User`,
    description,
    permission: 'domain-admin',
    params: { id: id<'user'>('the user').must },
    view: userView,
    async run({ app, caller, params }) {
      const user = await userOfCall(app, caller, params.id)
      if (state !== 'enabled') refuseSelf(caller, { user: user.id }, verb)
      return app.db.transaction().execute(async tx => {
        const account = await holdAccount(tx, user.account_id)
        if (state !== 'enabled') demandNotFirst(account)
        await setUserState(tx, user.id, state)
        await recordEvent(tx, {
          type: `USER.${verb.toUpperCase()}`,
          description: `${state} user ${user.username}`,
          account: user.account_id,
          user: caller.user.id,
          resourceType: 'User',
          resource: user.id,
        })
        return selectUsers(tx).where('user.id', '=', user.id).executeTakeFirstOrThrow()
      })
    },
  })
}
