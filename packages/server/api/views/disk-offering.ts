// A disk offering on the wire.
import type { Row } from '../../store/tables.ts'
import { boolean, date, long, string, view } from '../view.ts'

export const gib = 2 ** 30

export const diskOfferingView = view<Row<'disk_offering'>>('diskoffering', {
  id: string('the id of the disk offering', offering => offering.id),
  name: string('its name', offering => offering.name),
  displaytext: string('its description', offering => offering.display_text),
  disksize: long('size in GiB; 0 when each disk says its own', offering => (offering.size_bytes ?? 0) / gib),
  iscustomized: boolean('whether the size is given with each disk', offering => offering.size_bytes === null),
  storagetype: string('shared or local', offering => offering.storage_type),
  tags: string('tags that storage pools must have for its disks', offering => offering.storage_tags.join(',') || null),
  provisioningtype: string('thin: disks take space as they fill', () => 'thin'),
  displayoffering: boolean('whether users see it', () => true),
  state: string('Active or Inactive', offering => (offering.removed ? 'Inactive' : 'Active')),
  created: date('when it was made', offering => offering.created),
})
