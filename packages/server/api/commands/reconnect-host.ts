import { reconnectHost as reconnectHostJob } from '../../jobs/reconnect-host.ts'
import { jobCommand } from '../command.ts'
import { hostResult, startHostJob } from '../host-call.ts'
import { id } from '../parameters.ts'

export const reconnectHost = jobCommand({
  name: 'reconnectHost',
  description: 'Asks a host anew what it is and has',
  permission: 'admin',
  params: { id: id<'host'>('the host').must },
  result: hostResult,
  run: ({ app, caller, params }) => startHostJob(app, caller, 'reconnectHost', reconnectHostJob, params.id),
})
