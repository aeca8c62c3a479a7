import { newId } from '@ramet/core/ids.ts'
import { changing, withFreeName } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { chosenServices, services } from '../network-services.ts'
import { choice, flag, integer, label, list, map, text } from '../parameters.ts'
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
    supportedservices: list(
      `what it offers, of ${services.join(', ')}; all but SourceNat when absent`,
      text('a service'),
    ),
    serviceproviderlist: map('accepted for its clients; this server provides all services'),
    hostaccess: flag(
      'of one with SourceNat: whether machines also reach the host, its own services and addresses; false when absent',
    ),
    networkrate: integer('Mbit/s of each network card, either way; as fast as it goes when absent', 1, 100_000),
    enable: flag('whether networks can be made of it at once; false when absent, and updateNetworkOffering enables it'),
  },
  view: networkOfferingView,
  async run({ app, caller, params }) {
    const leads = chosenServices(params)
    return withFreeName('name', params.name, () =>
      changing({ app, caller }, async (tx, tell) => {
        const offering = await tx
          .insertInto('network_offering')
          .values({
            id: newId(),
            name: params.name,
            display_text: params.displaytext || params.name,
            guest_ip_type: params.guestiptype,
            forwards_ssh: params.sshforward ?? true,
            network_rate: params.networkrate ?? null,
            ...leads,
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
    )
  },
})
