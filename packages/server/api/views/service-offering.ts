// A service offering (compute offering) on the wire.
import { isCustomized } from '@ramet/core/offering.ts'
import type { Row } from '../../store/tables.ts'
import { boolean, date, integer, map, string, view } from '../view.ts'

export const serviceOfferingView = view<Row<'service_offering'>>('serviceoffering', {
  id: string('the id of the service offering', offering => offering.id),
  name: string('its name', offering => offering.name),
  displaytext: string('its description', offering => offering.display_text),
  cpunumber: integer('virtual CPUs; absent where each machine says its own', offering => offering.cpus),
  cpuspeed: integer('MHz of each', offering => offering.cpu_mhz),
  memory: integer('memory in MiB', offering => offering.memory_mib),
  clonetype: string('full or linked clones, where the offering decides', offering => offering.clone_type),
  storagetype: string('shared or local', offering => offering.storage_type),
  storagetags: string('tags that storage pools must have for its root disks', tagsOf),
  networkrate: integer('Mbit/s of the default NIC of its machines', offering => offering.network_rate),
  iscustomized: boolean('whether CPUs, their speed or memory are given with each machine', isCustomized),
  serviceofferingdetails: map('the limits of what each machine may say for itself', offering => limitsOf(offering)),
  issystem: boolean('whether it is for system machines', () => false),
  state: string('Active or Inactive', offering => (offering.removed ? 'Inactive' : 'Active')),
  created: date('when it was made', offering => offering.created),
})

function tagsOf({ storage_tags }: Row<'service_offering'>): string | null {
  return storage_tags.join(',') || null
}

function limitsOf(offering: Row<'service_offering'>): Record<string, string> | undefined {
  const limits = {
    mincpunumber: offering.min_cpus,
    maxcpunumber: offering.max_cpus,
    minmemory: offering.min_memory_mib,
    maxmemory: offering.max_memory_mib,
  }
  const said = Object.entries(limits).filter(([, limit]) => limit !== null)
  return said.length > 0 ? Object.fromEntries(said.map(([name, limit]) => [name, String(limit)])) : undefined
}
