import { selectPublicIps } from '../../store/public-ips.ts'
import { hasTags } from '../../store/tags.ts'
import { listCommand } from '../command.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { flag, id, ipAddress, stateFilter } from '../parameters.ts'
import { narrowTo, pageOf } from '../query.ts'
import { tagFilter } from '../tags.ts'
import { publicIpAddressView } from '../views/public-ip-address.ts'

export const listPublicIpAddresses = listCommand({
  name: 'listPublicIpAddresses',
  description: 'Lists public IP addresses: those of the host that networks are reached by',
  permission: 'user',
  params: {
    ...ownershipParameters,
    ...tagFilter,
    id: id<'public-ip'>('the public IP address'),
    ipaddress: ipAddress('that address', [4]),
    associatednetworkid: id<'network'>('those of a network'),
    networkid: id<'network'>('the same'),
    zoneid: id<'zone'>('those of a zone'),
    state: stateFilter('a state', ['Allocating', 'Allocated', 'Releasing']),
    allocatedonly: flag('accepted for its clients; networks share addresses, so none is listed before it is allocated'),
    forvirtualnetwork: flag('those for networks of accounts; there are no others'),
    issourcenat: flag('those that machines leave by, of which there are none'),
    isstaticnat: flag('those of one machine, of which there are none'),
  },
  view: publicIpAddressView,
  async run({ app, caller, params, page }) {
    const isForeign = params.issourcenat || params.isstaticnat || params.forvirtualnetwork === false
    if (isForeign) return { count: 0, items: [] }
    let ips = selectPublicIps(app.db).orderBy('public_ip.created').orderBy('public_ip.id')
    ips = narrowToOwner(ips, 'public_ip.account_id', caller, params).where(hasTags('public_ip.id', params.tags))
    ips = narrowTo(ips, {
      'public_ip.id': params.id,
      'public_ip.address': params.ipaddress,
      'network.id': params.associatednetworkid,
      'public_ip.network_id': params.networkid,
      'public_ip.zone_id': params.zoneid,
      'public_ip.state': params.state,
    })
    return pageOf(ips, page)
  },
})
