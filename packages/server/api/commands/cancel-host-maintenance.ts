import { emptyHost } from '../../jobs/empty-host.ts'
import { reopenHost } from '../../jobs/reopen-host.ts'
import { hostLock } from '../../store/hosts.ts'
import { jobOn } from '../../store/jobs.ts'
import { jobCommand } from '../command.ts'
import { hostResult, startHostJob } from '../host-call.ts'
import { askToEnd } from '../job-query.ts'
import { id } from '../parameters.ts'

export const cancelHostMaintenance = jobCommand({
  name: 'cancelHostMaintenance',
  description:
    'Takes a host back from maintenance, or ends its preparation; machines that have left it stay where they are',
  permission: 'admin',
  params: { id: id<'host'>('the host').must },
  result: hostResult,
  async run({ app, caller, params }) {
    const started = await startHostJob(app, caller, 'cancelHostMaintenance', reopenHost, params.id)
    const preparation = await jobOn(app.db, hostLock(params.id))
    if (preparation?.kind === emptyHost.traits.kind) await askToEnd(app, preparation.id)
    return started
  },
})
