import { forgetUser } from '../../store/accounts.ts'
import { recordEvent } from '../../store/events.ts'
import { plainCommand } from '../command.ts'
import { refuseSelf, userOfCall } from '../identity.ts'
import { id } from '../parameters.ts'
import { successView } from '../views/success.ts'

export const deleteUser = plainCommand({
  name: 'deleteUser',
  description: 'Deletes a user; what the user made stays with the account',
  permission: 'domain-admin',
  params: { id: id<'user'>('the user').must },
  answer: successView,
  async run({ app, caller, params }) {
    const user = await userOfCall(app, caller, params.id)
    refuseSelf(caller, { user: user.id }, 'delete')
    await app.db.transaction().execute(async tx => {
      await forgetUser(tx, user.id)
      await recordEvent(tx, {
        type: 'USER.DELETE',
        description: `deleted user ${user.username}`,
        account: user.account_id,
        user: caller.user.id,
        resourceType: 'User',
        resource: user.id,
      })
    })
    return { success: true }
  },
})
