import { demandNotFirst, holdAccount, setAccountState } from '../../store/accounts.ts'
import { recordEvent } from '../../store/events.ts'
import { listedAccount } from '../accounts.ts'
import { objectCommand } from '../command.ts'
import { accountOfCall, accountParameters, refuseSelf } from '../identity.ts'
import { accountView } from '../views/account.ts'

export const lockAccount = objectCommand({
  name: 'lockAccount',
  description: 'Locks an account: its users can neither log in nor call, and its machines run on',
  permission: 'domain-admin',
  params: accountParameters,
  view: accountView,
  async run({ app, caller, params }) {
    const { id } = await accountOfCall(app, caller, params)
    refuseSelf(caller, { account: id }, 'lock')
    await app.db.transaction().execute(async tx => {
      const account = await holdAccount(tx, id)
      demandNotFirst(account)
      await setAccountState(tx, id, 'locked')
      await recordEvent(tx, {
        type: 'ACCOUNT.LOCK',
        description: `locked account ${account.name}`,
        account: id,
        user: caller.user.id,
        resourceType: 'Account',
        resource: id,
      })
    })
    return listedAccount(app.db, id)
  },
})
