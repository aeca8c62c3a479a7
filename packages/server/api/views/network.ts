// A guest network on the wire.
import { netmaskOf } from '@ramet/core/ipv4.ts'
import type { Row } from '../../store/tables.ts'
import { boolean, date, string, view } from '../view.ts'
import { pathOnWire } from './domain.ts'

export type ListedNetwork = Row<'network'> & {
  readonly zone_name: string
  readonly dns1: string
  readonly offering_name: string
  readonly offering_display_text: string
  readonly guest_ip_type: string
  readonly account_name: string
  readonly domain_id: string
  readonly domain_name: string
  readonly domain_path: string
}

export const networkView = view<ListedNetwork>('network', {
  id: string('the id of the network', network => network.id),
  name: string('its name', network => network.name),
  displaytext: string('its description', network => network.display_text),
  state: string('Allocated or Implemented', network => network.state),
  type: string('Isolated, Shared or L2', network => network.guest_ip_type),
  traffictype: string('Guest', () => 'Guest'),
  acltype: string('Account: it belongs to one', () => 'Account'),
  cidr: string('its addresses', network => network.cidr),
  gateway: string('its gateway', network => network.gateway),
  netmask: string('its netmask', network => netmaskOf(network.cidr)),
  dns1: string('its name server', network => network.dns1),
  zoneid: string('its zone', network => network.zone_id),
  zonename: string('the name of its zone', network => network.zone_name),
  networkofferingid: string('its network offering', network => network.network_offering_id),
  networkofferingname: string('the name of that offering', network => network.offering_name),
  networkofferingdisplaytext: string('the description of that offering', network => network.offering_display_text),
  canusefordeploy: boolean('whether machines can be deployed in it', () => true),
  issystem: boolean('whether it is for system machines', () => false),
  specifyvlan: boolean('whether its VLAN is chosen', () => false),
  restartrequired: boolean('whether a change waits for its restart', () => false),
  account: string('the account that owns it', network => network.account_name),
  domainid: string('the domain of that account', network => network.domain_id),
  domain: string('the name of that domain', network => network.domain_name),
  domainpath: string('the path of that domain', network => pathOnWire(network.domain_path)),
  created: date('when it was made', network => network.created),
})
