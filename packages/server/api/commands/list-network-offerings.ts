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
    guestiptype: text('Isolated or Shared'),
    traffictype: text('Guest: there are no others'),
    state: text('Enabled or Disabled'),
    isdefault: flag('those that came with the installation, or the others'),
    forvpc: flag('those for VPCs, of which there are none'),
  },
  view: networkOfferingView,
  run: async ({ app, params, page }) => {
    const { traffictype = 'Guest' } = params
    if (traffictype.toLowerCase() !== 'guest' || params.forvpc) return { count: 0, items: [] }
    let offerings = app.db.selectFrom('network_offering').selectAll().where('removed', 'is', null)
    offerings = offerings.orderBy('name').orderBy('id')
    offerings = narrowTo(offerings, {
      id: params.id,
      name: params.name,
      is_default: params.isdefault,
    })
    if (params.guestiptype) offerings = offerings.where(reads('guest_ip_type', params.guestiptype))
    if (params.state) offerings = offerings.where(reads('state', params.state))
    if (page.keyword) offerings = offerings.where('name', 'ilike', containing(page.keyword))
    return pageOf(offerings, page)
  },
})
