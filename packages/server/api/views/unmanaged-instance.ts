// A machine or template of a hypervisor's own inventory on the wire.
import type { ForeignMachine } from '../../app.ts'
import type { Row } from '../../store/tables.ts'
import { boolean, string, view } from '../view.ts'

export type ListedInstance = ForeignMachine & {
  readonly name: string
  readonly cluster: Pick<Row<'cluster'>, 'id' | 'name'>
}

export const unmanagedInstanceView = view<ListedInstance>('unmanagedinstance', {
  name: string('its name', each => each.name),
  path: string('its name with its folder; registerTemplate takes it as url=inventory:PATH', each => each.path),
  powerstate: string('PowerOn or PowerOff', each => (each.power === 'on' ? 'PowerOn' : 'PowerOff')),
  istemplate: boolean('it is a template in the inventory', each => each.isTemplate),
  osdisplayname: string('its guest operating system', each => each.guestOs),
  hostname: string('the host that it runs on', each => each.host),
  clusterid: string('its cluster', each => each.cluster.id),
  clustername: string('the name of its cluster', each => each.cluster.name),
})
