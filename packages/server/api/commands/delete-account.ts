import { deleteAccount as deleteAccountJob } from '../../jobs/delete-account.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { accountOfCall, refuseSelf } from '../identity.ts'
import { id } from '../parameters.ts'

export const deleteAccount = jobCommand({
  name: 'deleteAccount',
  description: 'Deletes an account with its users, keys, machines, volumes and templates',
  permission: 'domain-admin',
  params: { id: id<'account'>('the account').must },
  async run({ app, caller, params }) {
    const { id: account } = await accountOfCall(app, caller, params)
    refuseSelf(caller, { account }, 'delete')
    return { jobid: await app.jobs.start(app.db, deleteAccountJob, { account }, originOfCall(caller, 'deleteAccount')) }
  },
})
