// What the commands on one host have in common.
import type { HostId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import type { JobDefinition } from '../jobs/define-job.ts'
import { listedHost } from '../store/host-list.ts'
import { type Host, hostById } from '../store/hosts.ts'
import { type Caller, originOfCall, unknownId } from './caller.ts'
import type { JobResult } from './command.ts'
import { hostView, type ListedHost } from './views/host.ts'

export async function hostOfCall(app: App, id: HostId, parameter = 'id'): Promise<Host> {
  const host = await hostById(app.db, id)
  if (!host) throw unknownId(parameter, id)
  return host
}

export async function shownHost(app: App, id: HostId): Promise<ListedHost | undefined> {
  const host = await listedHost(app.db, id)
  return host && { ...host, cpu_factor: app.settings.number('cpu.overprovisioning.factor') }
}

export const hostResult: JobResult<ListedHost> = {
  view: hostView,
  read: (app, job) => shownHost(app, job.instance_id as HostId),
}

export async function startHostJob(
  app: App,
  caller: Caller,
  command: string,
  definition: JobDefinition<{ readonly host: HostId }>,
  id: HostId,
) {
  const { id: host } = await hostOfCall(app, id)
  return { jobid: await app.jobs.start(app.db, definition, { host }, originOfCall(caller, command)) }
}
