// A network offering on the wire.
import type { Row } from '../../store/tables.ts'
import { boolean, date, string, view } from '../view.ts'

export const networkOfferingView = view<Row<'network_offering'>>('networkoffering', {
  id: string('the id of the network offering', offering => offering.id),
  name: string('its name', offering => offering.name),
  displaytext: string('its description', offering => offering.display_text),
  state: string('Enabled or Disabled', () => 'Enabled'),
  availability: string('Optional, Required or Unavailable', () => 'Optional'),
  guestiptype: string('Isolated, Shared or L2', offering => offering.guest_ip_type),
  traffictype: string('Guest', () => 'Guest'),
  isdefault: boolean('whether it came with the installation', () => true),
  specifyvlan: boolean('whether a VLAN is chosen', () => false),
  specifyipranges: boolean('whether ranges of addresses are chosen', () => false),
  forvpc: boolean('whether it is for VPCs', () => false),
  created: date('when it was made', offering => offering.created),
})
