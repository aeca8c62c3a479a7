import { moveHost } from '../../store/hosts.ts'
import { changing, withFreeName } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { hostOfCall, shownHost } from '../host-call.ts'
import { choice, id, label } from '../parameters.ts'
import { hostView, type ListedHost } from '../views/host.ts'

export const updateHost = objectCommand({
  name: 'updateHost',
  description: 'Renames a host, or lets machines be placed there or not; those that run there run on',
  permission: 'admin',
  params: {
    id: id<'host'>('the host').must,
    name: label('new name'),
    allocationstate: choice('whether machines are placed there', ['Enable', 'Disable']),
  },
  view: hostView,
  async run({ app, caller, params: { id: host, name, allocationstate } }): Promise<ListedHost> {
    await hostOfCall(app, host)
    await withFreeName('name', name, () =>
      changing({ app, caller }, async (tx, tell) => {
        if (allocationstate) await moveHost(tx, host, allocationstate)
        if (name) await tx.updateTable('host').set({ name }).where('id', '=', host).execute()
        const changes = [name && `name ${name}`, allocationstate].filter(Boolean).join(', ')
        if (changes)
          await tell({
            type: 'HOST.UPDATE',
            description: `changed host ${host}: ${changes}`,
            resourceType: 'Host',
            resource: host,
          })
      }),
    )
    return (await shownHost(app, host)) as ListedHost
  },
})
