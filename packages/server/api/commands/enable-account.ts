import { Problem } from '@ramet/core/problem.ts'
import { holdAccount, setAccountState } from '../../store/accounts.ts'
import { recordEvent } from '../../store/events.ts'
import { listedAccount } from '../accounts.ts'
import { objectCommand } from '../command.ts'
import { accountOfCall, accountParameters } from '../identity.ts'
import { accountView } from '../views/account.ts'

export const enableAccount = objectCommand({
  name: 'enableAccount',
  description: 'Opens a disabled or locked account again; its machines stay as they are',
  permission: 'domain-admin',
  params: accountParameters,
  view: accountView,
  async run({ app, caller, params }) {
    const { id } = await accountOfCall(app, caller, params)
    await app.db.transaction().execute(async tx => {
      const account = await holdAccount(tx, id)
      if (account.cleanup_needed)
        throw new Problem(
          'refused',
          'account-ending',
          `Account ${account.name} is being deleted and cannot be enabled again; deleteAccount finishes that`,
        )
      await setAccountState(tx, id, 'enabled')
      await recordEvent(tx, {
        type: 'ACCOUNT.ENABLE',
        description: `enabled account ${account.name}`,
        account: id,
        user: caller.user.id,
        resourceType: 'Account',
        resource: id,
      })
    })
    return listedAccount(app.db, id)
  },
})
