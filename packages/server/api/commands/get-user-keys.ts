import { objectCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { userWithKeys } from '../users.ts'
import { userKeysView } from '../views/user-keys.ts'

export const getUserKeys = objectCommand({
  name: 'getUserKeys',
  description: 'Shows the API keys of a user, to that user and to administrators',
  permission: 'user',
  params: { id: id<'user'>('the user').must },
  view: userKeysView,
  async run({ app, caller, params }) {
    const user = await userWithKeys(app, caller, params.id)
    return {
      apiKey: user.api_key,
      secretKey: user.secret_key_sealed && app.secrets.unseal(user.secret_key_sealed),
    }
  },
})
