// A service offering (compute offering) on the wire.
import type { Row } from '../../store/tables.ts'
import { boolean, date, integer, string, view } from '../view.ts'

export const serviceOfferingView = view<Row<'service_offering'>>('serviceoffering', {
  id: string('the id of the service offering', offering => offering.id),
  name: string('its name', offering => offering.name),
  displaytext: string('its description', offering => offering.display_text),
  cpunumber: integer('virtual CPUs', offering => offering.cpus),
  cpuspeed: integer('MHz of each', offering => offering.cpu_mhz),
  memory: integer('memory in MiB', offering => offering.memory_mib),
  clonetype: string('full or linked clones, where the offering decides', offering => offering.clone_type),
  storagetype: string('shared or local', offering => offering.storage_type),
  iscustomized: boolean('whether CPUs and memory are given with each machine', () => false),
  issystem: boolean('whether it is for system machines', () => false),
  state: string('Active or Inactive', offering => (offering.removed ? 'Inactive' : 'Active')),
  created: date('when it was made', offering => offering.created),
})
