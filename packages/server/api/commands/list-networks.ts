import type { Database } from '../../store/database.ts'
import { listCommand } from '../command.ts'
import { isOwnerAsked, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { flag, id, text } from '../parameters.ts'
import { narrowTo, pageOf, reads } from '../query.ts'
import { networkView } from '../views/network.ts'

export const listNetworks = listCommand({
  name: 'listNetworks',
  description: 'Lists guest networks; the one named default is for every account',
  permission: 'user',
  params: {
    ...ownershipParameters,
    id: id<'network'>('the network'),
    name: text('exact name'),
    zoneid: id<'zone'>('those of a zone'),
    type: text('isolated, shared, l2 or all'),
    traffictype: text('Guest: there are no others'),
    networkofferingid: id<'network-offering'>('those of a network offering'),
    issystem: flag('those for system machines, of which there are none'),
    canusefordeploy: flag('those in which machines can be deployed: all'),
  },
  view: networkView,
  run: async ({ app, caller, params, page }) => {
    const foreign = params.traffictype && params.traffictype.toLowerCase() !== 'guest'
    if (params.issystem || foreign || params.canusefordeploy === false) return { count: 0, items: [] }
    const isOwn = isOwnerAsked('network.account_id', caller, params)
    let networks = selectNetworks(app.db).where(eb => eb.or([isOwn, eb('network.name', '=', 'default')]))
    networks = narrowTo(networks, {
      'network.id': params.id,
      'network.name': params.name,
      'network.zone_id': params.zoneid,
    })
    if (params.type && params.type !== 'all')
      networks = networks.where(reads('network_offering.guest_ip_type', params.type))
    if (params.networkofferingid) networks = networks.where('network_offering.id', '=', params.networkofferingid)
    if (page.keyword) networks = networks.where('network.name', 'ilike', containing(page.keyword))
    return pageOf(networks, page)
  },
})

function selectNetworks(db: Database) {
  return db
    .selectFrom('network')
    .innerJoin('zone', 'zone.id', 'network.zone_id')
    .innerJoin('network_offering', 'network_offering.id', 'network.network_offering_id')
    .innerJoin('account', 'account.id', 'network.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .selectAll('network')
    .where('zone.removed', 'is', null)
    .select(['zone.name as zone_name', 'zone.dns1', 'network_offering.name as offering_name'])
    .select(['network_offering.display_text as offering_display_text', 'network_offering.guest_ip_type'])
    .select(['account.name as account_name', 'domain.id as domain_id'])
    .select(['domain.name as domain_name', 'domain.path as domain_path'])
    .orderBy('network.name')
    .orderBy('network.id')
}
