// A public IP address on the wire.
import type { ListedPublicIp } from '../../store/public-ips.ts'
import { boolean, date, nested, string, view } from '../view.ts'
import { pathOnWire } from './domain.ts'
import { tagView } from './tag.ts'

const fields: ReturnType<typeof view<ListedPublicIp>>['fields'] = {
  id: string('the id of the allocation', ip => ip.id),
  ipaddress: string('the address, which is one of the host', ip => ip.address),
  state: string('Allocating, Allocated, or Releasing while its rules go', ip => ip.state),
  allocated: date('when it was allocated', ip => ip.created),
  associatednetworkid: string('the network that it leads into', ip => ip.network_id),
  associatednetworkname: string('the name of that network', ip => ip.network_name),
  zoneid: string('its zone', ip => ip.zone_id),
  zonename: string('the name of its zone', ip => ip.zone_name),
  issourcenat: boolean('whether machines leave by it', () => false),
  isstaticnat: boolean('whether all of it leads to one machine', () => false),
  issystem: boolean('whether it is for system machines', () => false),
  forvirtualnetwork: boolean('whether it is for networks of accounts', () => true),
  account: string('the account that has it', ip => ip.account_name),
  domainid: string('the domain of that account', ip => ip.domain_id),
  domain: string('the name of that domain', ip => ip.domain_name),
  domainpath: string('the path of that domain', ip => pathOnWire(ip.domain_path)),
  tags: nested('its tags', tagView, ip => ip.tags),
}

/** In lists; the answer of associateIpAddress has another name. */
export const publicIpAddressView = view<ListedPublicIp>('publicipaddress', fields)
export const ipAddressView = view<ListedPublicIp>('ipaddress', fields)
