import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../../app.ts'
import { type Host, holdHost, machinesOn } from '../../store/hosts.ts'
import { unknownId } from '../caller.ts'
import { changing } from '../changing.ts'
import { plainCommand } from '../command.ts'
import { flag, id } from '../parameters.ts'
import { successView } from '../views/success.ts'

export const deleteHost = plainCommand({
  name: 'deleteHost',
  description: 'Removes a host on which no machine runs',
  permission: 'admin',
  params: {
    id: id<'host'>('the host').must,
    forced: flag('true: also when it is neither in maintenance nor down'),
    forcedestroylocalstorage: flag('accepted for its clients; storage belongs to clusters'),
  },
  answer: successView,
  run: ({ app, caller, params }) =>
    changing({ app, caller }, async (tx, tell) => {
      const host = await holdHost(tx, params.id)
      if (!host) throw unknownId('id', params.id)
      demandMayGo(app, host)
      const machines = await machinesOn(tx, host.id)
      if (machines.length > 0)
        throw new Problem(
          'refused',
          'host-not-empty',
          `Host ${host.name} runs ${machines.length} machines; prepareHostForMaintenance moves them away`,
        )
      if (host.resource_state !== 'Maintenance' && host.state === 'Up' && !params.forced)
        throw new Problem(
          'refused',
          'wrong-host-state',
          `Host ${host.name} is ${host.resource_state}; bring it into maintenance first with prepareHostForMaintenance, or give forced=true`,
        )
      await tx.deleteFrom('host').where('id', '=', host.id).execute()
      await tell({
        type: 'HOST.DELETE',
        description: `removed host ${host.name}`,
        resourceType: 'Host',
        resource: host.id,
      })
      return { success: true }
    }),
})

function demandMayGo(app: App, { name, cluster_id, state }: Host): void {
  const { addHosts, disks } = app.capabilitiesOf(cluster_id)
  if (addHosts) return
  if (disks === 'layers')
    throw new Problem('refused', 'one-host', `Host ${name} is the one that this server runs on, and stays`)
  if (state === 'Up')
    throw new Problem(
      'refused',
      'hosts-by-inventory',
      `Host ${name} is in the inventory of its cluster's hypervisor; take it out there, then it is Down here and can be deleted`,
    )
}
