import { deleteDomain as deleteDomainJob } from '../../jobs/delete-domain.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { managedDomain } from '../ownership.ts'
import { flag, id } from '../parameters.ts'

export const deleteDomain = jobCommand({
  name: 'deleteDomain',
  description: 'Deletes an empty domain; with cleanup=true also all domains below it and all their accounts',
  permission: 'domain-admin',
  params: {
    id: id<'domain'>('the domain').must,
    cleanup: flag('delete what is in it, too: domains, accounts, and all that these own'),
  },
  async run({ app, caller, params }) {
    const { id: domain } = await managedDomain(app, caller, params.id)
    const input = { domain, cleanup: params.cleanup ?? false }
    return { jobid: await app.jobs.start(app.db, deleteDomainJob, input, originOfCall(caller, 'deleteDomain')) }
  },
})
