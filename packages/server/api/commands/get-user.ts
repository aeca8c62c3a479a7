import { demandOwned } from '../caller.ts'
import { objectCommand } from '../command.ts'
import { invalid, text } from '../parameters.ts'
import { selectUsers } from '../users.ts'
import { userView } from '../views/user.ts'

export const getUser = objectCommand({
  name: 'getUser',
  description: 'Tells which user has an API key',
  permission: 'admin',
  params: { userapikey: text('the API key').must },
  view: userView,
  async run({ app, caller, params }) {
    const user = await selectUsers(app.db).where('user.api_key', '=', params.userapikey).executeTakeFirst()
    if (!user) throw invalid('userapikey', 'is the API key of no user')
    return demandOwned(app, caller, user, 'userapikey', user.id)
  },
})
