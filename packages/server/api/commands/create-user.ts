import { demandStaying, holdAccount } from '../../store/accounts.ts'
import { objectCommand } from '../command.ts'
import { insertUser, readNewUser, userParameters } from '../new-user.ts'
import { accountNamed } from '../ownership.ts'
import { id, text } from '../parameters.ts'
import { selectUsers } from '../users.ts'
import { userView } from '../views/user.ts'

export const createUser = objectCommand({
  name: 'createUser',
  description: 'Creates a user in an account',
  permission: 'domain-admin',
  params: {
    ...userParameters,
    account: text('name of the account').must,
    domainid: id<'domain'>('domain of the account; the own one when absent'),
  },
  view: userView,
  async run({ app, caller, params }) {
    const owner = await accountNamed(app, caller, params.account, params.domainid)
    const user = await readNewUser(params)
    return app.db.transaction().execute(async tx => {
      const account = await holdAccount(tx, owner.id)
      demandStaying(account)
      const made = await insertUser(tx, caller, account, user)
      return selectUsers(tx).where('user.id', '=', made).executeTakeFirstOrThrow()
    })
  },
})
