import { listCommand } from '../command.ts'
import { containing } from '../paging.ts'
import { flag, id, text } from '../parameters.ts'
import { narrowTo, pageOf, reads } from '../query.ts'
import { networkOfferingView } from '../views/network-offering.ts'

export const listNetworkOfferings = listCommand({
  name: 'listNetworkOfferings',
  description: 'Lists network offerings',
  permission: 'user',
  params: {
    id: id<'network-offering'>('the network offering'),
    name: text('exact name'),
    guestiptype: text('Isolated, Shared or L2'),
    traffictype: text('Guest: there are no others'),
    state: text('Enabled: there are no others'),
    forvpc: flag('those for VPCs, of which there are none'),
  },
  view: networkOfferingView,
  run: async ({ app, params, page }) => {
    const { traffictype = 'Guest', state = 'Enabled' } = params
    if (traffictype.toLowerCase() !== 'guest' || state.toLowerCase() !== 'enabled' || params.forvpc)
      return { count: 0, items: [] }
    let offerings = app.db.selectFrom('network_offering').selectAll().orderBy('name')
    offerings = narrowTo(offerings, {
      id: params.id,
      name: params.name,
    })
    if (params.guestiptype) offerings = offerings.where(reads('guest_ip_type', params.guestiptype))
    if (page.keyword) offerings = offerings.where('name', 'ilike', containing(page.keyword))
    return pageOf(offerings, page)
  },
})
