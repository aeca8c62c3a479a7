import type { AccountId } from '@ramet/core/ids.ts'
import { disableAccount as disableAccountJob } from '../../jobs/disable-account.ts'
import { listedAccount } from '../accounts.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { accountOfCall, accountParameters, refuseSelf } from '../identity.ts'
import { flag } from '../parameters.ts'
import { accountView } from '../views/account.ts'

export const disableAccount = jobCommand({
  name: 'disableAccount',
  description: 'Closes an account: its users can neither log in nor call, and its machines are stopped',
  permission: 'domain-admin',
  params: { ...accountParameters, lock: flag('only lock it: its machines run on') },
  result: { view: accountView, read: (app, job) => listedAccount(app.db, job.instance_id as AccountId) },
  async run({ app, caller, params }) {
    const { id: account } = await accountOfCall(app, caller, params)
    refuseSelf(caller, { account }, 'disable')
    const input = { account, lock: params.lock ?? false }
    return { jobid: await app.jobs.start(app.db, disableAccountJob, input, originOfCall(caller, 'disableAccount')) }
  },
})
