// A network offering on the wire.
import type { Row } from '../../store/tables.ts'
import { servicesOf } from '../network-services.ts'
import { boolean, date, integer, nested, string, view } from '../view.ts'

const serviceView = view<string>('service', { name: string('its name', name => name) })

export const networkOfferingView = view<Row<'network_offering'>>('networkoffering', {
  id: string('the id of the network offering', offering => offering.id),
  name: string('its name', offering => offering.name),
  displaytext: string('its description', offering => offering.display_text),
  state: string('Enabled; or Disabled: for no new networks', offering => offering.state),
  availability: string('Optional, Required or Unavailable', () => 'Optional'),
  guestiptype: string('Isolated: for one account; Shared: for those of a domain', offering => offering.guest_ip_type),
  traffictype: string('Guest', () => 'Guest'),
  isdefault: boolean('whether it came with the installation', offering => offering.is_default),
  specifyvlan: boolean('whether a VLAN is chosen', () => false),
  specifyipranges: boolean('whether ranges of addresses are chosen', () => false),
  issegment: boolean('whether machines reach each other; otherwise each is alone', offering => offering.is_segment),
  sshforward: boolean(
    'whether the SSH of each machine is reached by a port of the host',
    offering => offering.forwards_ssh,
  ),
  service: nested('what it offers', serviceView, servicesOf),
  hostaccess: boolean('whether machines that get out reach the host too', offering => offering.reaches_host),
  networkrate: integer('Mbit/s of each network card', offering => offering.network_rate),
  forvpc: boolean('whether it is for VPCs', () => false),
  created: date('when it was made', offering => offering.created),
})
