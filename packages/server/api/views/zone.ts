// A zone on the wire.
import type { Row } from '../../store/tables.ts'
import { boolean, string, view } from '../view.ts'

export const zoneView = view<Row<'zone'>>('zone', {
  id: string('the id of the zone', zone => zone.id),
  name: string('the name of the zone', zone => zone.name),
  networktype: string('Basic or Advanced', zone => zone.network_type),
  allocationstate: string('Enabled or Disabled', zone => zone.allocation_state),
  dns1: string('first DNS server', zone => zone.dns1),
  dns2: string('second DNS server', zone => zone.dns2),
  internaldns1: string('first internal DNS server', zone => zone.internal_dns1),
  internaldns2: string('second internal DNS server', zone => zone.internal_dns2),
  guestcidraddress: string('address range of its guests', zone => zone.guest_cidr),
  domain: string('network domain', zone => zone.network_domain),
  securitygroupsenabled: boolean('whether security groups work here', () => false),
  localstorageenabled: boolean('whether machines may use storage of their host', () => true),
})
