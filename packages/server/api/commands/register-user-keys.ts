import { recordEvent } from '../../store/events.ts'
import { randomToken } from '../../secrets.ts'
import { objectCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { userWithKeys } from '../users.ts'
import { userKeysView } from '../views/user-keys.ts'

export const registerUserKeys = objectCommand({
  name: 'registerUserKeys',
  description: 'Gives a user new API keys; the old ones end at once',
  permission: 'user',
  params: { id: id<'user'>('the user').must },
  view: userKeysView,
  async run({ app, caller, params }) {
    const user = await userWithKeys(app, caller, params.id)
    const [apiKey, secretKey] = [randomToken(64), randomToken(64)]
    await app.db.transaction().execute(async tx => {
      await tx
        .updateTable('user')
        .set({ api_key: apiKey, secret_key_sealed: app.secrets.seal(secretKey) })
        .where('id', '=', user.id)
        .execute()
      await recordEvent(tx, {
        type: 'REGISTER.USER.KEY',
        description: `gave user ${user.username} new API keys`,
        account: user.account_id,
        user: caller.user.id,
        resourceType: 'User',
        resource: user.id,
      })
    })
    return { apiKey, secretKey }
  },
})
