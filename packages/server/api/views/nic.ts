// A network interface of a machine on the wire.
import { netmaskOf } from '@ramet/core/ipv4.ts'
import type { ListedVm } from '../../store/vm-list.ts'
import { boolean, string, view } from '../view.ts'

export type ListedNic = ListedVm['nics'][number]

export const nicView = view<ListedNic>('nic', {
  id: string('the id of the NIC', nic => nic.id),
  networkid: string('the id of its network', nic => nic.network_id),
  networkname: string('the name of its network', nic => nic.network_name),
  macaddress: string('its MAC address', nic => nic.mac),
  ipaddress: string('its IPv4 address', nic => nic.ip_address),
  netmask: string('its netmask', nic => nic.cidr && netmaskOf(nic.cidr)),
  gateway: string('its gateway', nic => nic.gateway),
  deviceid: string('its place in the machine, from 0', nic => String(nic.device_id)),
  isdefault: boolean('whether it carries the default route', nic => nic.is_default),
  type: string('the type of its network', () => 'Isolated'),
  traffictype: string('Guest', () => 'Guest'),
})
