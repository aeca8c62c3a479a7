import { networkDomainRefusal } from '@ramet/core/names.ts'
import { newId } from '@ramet/core/ids.ts'
import { holdRoom } from '../../store/limits.ts'
import { demandOwnAddresses } from '../../store/networks.ts'
import { changing } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { demandNetworks, listedNetwork } from '../network-call.ts'
import {
  addressParameters,
  chosenAddresses,
  chosenNetworkOffering,
  chosenReaders,
  networkDomain,
  readerParameters,
  zoneForNetworks,
} from '../new-network.ts'
import { ownerOf, ownerParameters } from '../ownership.ts'
import { id, invalid, label, text } from '../parameters.ts'
import { type ListedNetwork, networkView } from '../views/network.ts'

export const createNetwork = objectCommand({
  name: 'createNetwork',
  description:
    'Makes a network whose machines reach each other, and nobody else’s. Any number of networks may use the same addresses',
  permission: 'user',
  params: {
    ...ownerParameters,
    name: label('its name').must,
    displaytext: text('its description; the name when absent'),
    zoneid: id<'zone'>('the zone').must,
    networkofferingid: id<'network-offering'>('the network offering').must,
    ...addressParameters,
    networkdomain: networkDomain,
    ...readerParameters,
  },
  view: networkView,
  run: async ({ app, caller, params }) => {
    demandNetworks(app)
    const zone = await zoneForNetworks(app, params.zoneid)
    const offering = await chosenNetworkOffering(app, params.networkofferingid)
    const readers = await chosenReaders(app, caller, offering, params)
    const owner = readers.domain_id ? caller.account : await ownerOf(app, caller, params)
    const refusal = params.networkdomain ? networkDomainRefusal(params.networkdomain) : null
    if (refusal) throw invalid('networkdomain', refusal)
    const network = {
      id: newId<'network'>(),
      account_id: owner.id,
      zone_id: zone.id,
      network_offering_id: offering.id,
      name: params.name,
      display_text: params.displaytext || params.name,
      network_domain: params.networkdomain || zone.network_domain,
      ...chosenAddresses(params),
      ...readers,
    }
    await changing({ app, caller }, async (tx, tell) => {
      await holdRoom(tx, owner.id, readers.domain_id ? {} : { network: 1 }) // and the account's removal waits
      if (offering.source_nat) await demandOwnAddresses(tx, owner.id, network.cidr)
      await tx.insertInto('network').values(network).execute()
      await tell({
        type: 'NETWORK.CREATE',
        description: `created network ${network.name}`,
        resourceType: 'Network',
        resource: network.id,
      })
    })
    return (await listedNetwork(app, network.id)) as ListedNetwork
  },
})
