import { emptyHost } from '../../jobs/empty-host.ts'
import { jobCommand } from '../command.ts'
import { hostResult, startHostJob } from '../host-call.ts'
import { id } from '../parameters.ts'

export const prepareHostForMaintenance = jobCommand({
  name: 'prepareHostForMaintenance',
  description: 'Brings a host into maintenance: its machines migrate to other hosts, and none is placed there',
  permission: 'admin',
  params: { id: id<'host'>('the host').must },
  result: hostResult,
  run: ({ app, caller, params }) => startHostJob(app, caller, 'prepareHostForMaintenance', emptyHost, params.id),
})
