// A domain on the wire.
import type { Room } from '../../store/limits.ts'
import type { Row } from '../../store/tables.ts'
import { boolean, date, integer, string, view } from '../view.ts'
import { roomFields } from './room.ts'

export type ListedDomain = Row<'domain'> & {
  readonly parent_name: string | null
  readonly has_child: boolean
  readonly room: Room
}

export const domainView = view<ListedDomain>('domain', {
  id: string('the id of the domain', domain => domain.id),
  name: string('its name', domain => domain.name),
  path: string('its path from the root, such as ROOT/training', domain => pathOnWire(domain.path)),
  level: integer('how deep it lies; 0 is the root', domain => domain.level),
  parentdomainid: string('the domain it lies in', domain => domain.parent_id),
  parentdomainname: string('the name of that domain', domain => domain.parent_name),
  haschild: boolean('whether domains lie in it', domain => domain.has_child),
  networkdomain: string('the DNS domain that was said for its networks', domain => domain.network_domain),
  state: string('Active, or Inactive while it is being removed', domain => domain.state),
  ...roomFields<ListedDomain>(domain => domain.room),
  created: date('when it was made', domain => domain.created),
})

/** `/training` is ROOT/training in every answer; clients compare it so. */
export function pathOnWire(path: string): string {
  return path === '/' ? 'ROOT' : `ROOT${path}`
}
