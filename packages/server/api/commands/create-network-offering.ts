import { newId } from '@ramet/core/ids.ts'
import { changing, withFreeName } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { choice, flag, label, text } from '../parameters.ts'
import { networkOfferingView } from '../views/network-offering.ts'

export const createNetworkOffering = objectCommand({
  name: 'createNetworkOffering',
  description: 'Creates a network offering: what networks are like',
  permission: 'admin',
  params: {
    name: label('name').must,
    displaytext: text('description; the name when absent'),
    guestiptype: choice('for one account, or for those of a domain', ['Isolated', 'Shared']).must,
    traffictype: choice('accepted for its clients; there are no others', ['Guest']),
    sshforward: flag('whether the SSH of each machine is reached by a port of the host; true when absent'),
    enable: flag('whether networks can be made of it at once; false when absent, and updateNetworkOffering enables it'),
  },
  view: networkOfferingView,
  run: ({ app, caller, params }) =>
    withFreeName('name', params.name, () =>
      changing({ app, caller }, async (tx, tell) => {
        const offering = await tx
          .insertInto('network_offering')
          .values({
            id: newId(),
            name: params.name,
            display_text: params.displaytext || params.name,
            guest_ip_type: params.guestiptype,
            forwards_ssh: params.sshforward ?? true,
            state: params.enable ? 'Enabled' : 'Disabled',
          })
          .returningAll()
          .executeTakeFirstOrThrow()
        await tell({
          type: 'NETWORK.OFFERING.CREATE',
          description: `created network offering ${offering.name}`,
          resourceType: 'NetworkOffering',
          resource: offering.id,
        })
        return offering
      }),
    ),
})
