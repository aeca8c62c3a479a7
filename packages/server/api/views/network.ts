// A guest network on the wire.
import { netmaskOf } from '@ramet/core/ipv4.ts'
import type { Row } from '../../store/tables.ts'
import type { ListedTag } from '../../store/tags.ts'
import { boolean, date, nested, string, view } from '../view.ts'
import { pathOnWire } from './domain.ts'
import { tagView } from './tag.ts'

export type ListedNetwork = Row<'network'> & {
  readonly is_segment: boolean
  readonly of_inventory: boolean
  /** Machines in it are on. */
  readonly is_at_work: boolean
  readonly zone_name: string
  readonly dns1: string
  readonly offering_name: string
  readonly offering_display_text: string
  readonly guest_ip_type: string
  readonly account_name: string
  readonly shown_domain_id: string
  readonly domain_name: string
  readonly domain_path: string
  readonly tags: readonly ListedTag[]
}

export const networkView = view<ListedNetwork>('network', {
  id: string('the id of the network', network => network.id),
  name: string('its name', network => network.name),
  displaytext: string('its description', network => network.display_text),
  state: string('Allocated; Implemented while machines in it run; Destroy while it is being deleted', network =>
    network.state === 'Allocated' && network.is_at_work ? 'Implemented' : network.state,
  ),
  type: string('Isolated or Shared', network => network.guest_ip_type),
  traffictype: string('Guest', () => 'Guest'),
  acltype: string('Account: it belongs to one; Domain: it is for all of one', network =>
    network.domain_id === null ? 'Account' : 'Domain',
  ),
  cidr: string('its addresses', network => network.cidr),
  gateway: string('its gateway', network => network.gateway),
  netmask: string('its netmask', network => network.cidr && netmaskOf(network.cidr)),
  startip: string('where the addresses of machines begin', network => network.start_ip),
  endip: string('where they end', network => network.end_ip),
  networkdomain: string('what names of machines end in, inside', network => network.network_domain),
  // In a segment its gateway answers for names.
  dns1: string('its name server', network => (network.is_segment ? network.gateway : network.dns1)),
  clusterid: string(
    'the cluster whose hypervisor has it of its own; machines elsewhere cannot be in it',
    network => network.cluster_id,
  ),
  subdomainaccess: boolean('whether accounts of the domains below may use it too', network =>
    network.domain_id === null ? undefined : network.subdomain_access,
  ),
  zoneid: string('its zone', network => network.zone_id),
  zonename: string('the name of its zone', network => network.zone_name),
  networkofferingid: string('its network offering', network => network.network_offering_id),
  networkofferingname: string('the name of that offering', network => network.offering_name),
  networkofferingdisplaytext: string('the description of that offering', network => network.offering_display_text),
  canusefordeploy: boolean('whether machines can be deployed in it', network => network.state === 'Allocated'),
  issystem: boolean('whether it is for system machines', () => false),
  specifyvlan: boolean('whether its VLAN is chosen', () => false),
  restartrequired: boolean('whether a change waits for its restart', () => false),
  account: string('the account that owns it', network => network.account_name),
  domainid: string('the domain that it is for, or of that account', network => network.shown_domain_id),
  domain: string('the name of that domain', network => network.domain_name),
  domainpath: string('the path of that domain', network => pathOnWire(network.domain_path)),
  created: date('when it was made', network => network.created),
  tags: nested('its tags', tagView, network => network.tags),
})
