import { selectNetworks } from '../../store/networks.ts'
import { hasTags } from '../../store/tags.ts'
import { listCommand } from '../command.ts'
import { usableBy } from '../network-call.ts'
import { isOwnerAsked, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { choice, flag, id, text } from '../parameters.ts'
import { narrowTo, pageOf, reads } from '../query.ts'
import { tagFilter } from '../tags.ts'
import { networkView } from '../views/network.ts'

export const listNetworks = listCommand({
  name: 'listNetworks',
  description: 'Lists guest networks: own ones, and those that are for all accounts of a domain',
  permission: 'user',
  params: {
    ...ownershipParameters,
    ...tagFilter,
    id: id<'network'>('the network'),
    name: text('exact name'),
    zoneid: id<'zone'>('those of a zone'),
    type: text('isolated, shared, l2 or all'),
    acltype: choice('whom they are for', ['Account', 'Domain']),
    traffictype: text('Guest: there are no others'),
    networkofferingid: id<'network-offering'>('those of a network offering'),
    issystem: flag('those for system machines, of which there are none'),
    canusefordeploy: flag('those in which machines can be deployed, or cannot'),
  },
  view: networkView,
  run: async ({ app, caller, params, page }) => {
    const foreign = params.traffictype && params.traffictype.toLowerCase() !== 'guest'
    if (params.issystem || foreign) return { count: 0, items: [] }
    const isOwn = isOwnerAsked('network.account_id', caller, params)
    const isShared = await usableBy(app, caller, caller.account)
    let networks = selectNetworks(app.db)
      .where(eb => eb.or([isOwn, eb.and([eb('network.domain_id', 'is not', null), isShared])]))
      .where(hasTags('network.id', params.tags))
      .orderBy('network.name')
      .orderBy('network.id')
    networks = narrowTo(networks, {
      'network.id': params.id,
      'network.name': params.name,
      'network.zone_id': params.zoneid,
      'network_offering.id': params.networkofferingid,
    })
    if (params.type && params.type !== 'all')
      networks = networks.where(reads('network_offering.guest_ip_type', params.type))
    if (params.acltype)
      networks = networks.where('network.domain_id', params.acltype === 'Account' ? 'is' : 'is not', null)
    if (params.canusefordeploy !== undefined)
      networks = networks.where('network.state', params.canusefordeploy ? '=' : '!=', 'Allocated')
    if (page.keyword) networks = networks.where('network.name', 'ilike', containing(page.keyword))
    return pageOf(networks, page)
  },
})
