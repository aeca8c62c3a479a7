// A role on the wire.
import type { Role } from '@ramet/core/roles.ts'
import { boolean, string, view } from '../view.ts'

export const roleView = view<Role>('role', {
  id: string('the id of the role, the same in every installation', role => role.id),
  name: string('its name', role => role.name),
  type: string('Admin, DomainAdmin or User', role => role.type),
  description: string('what it reaches', role => role.description),
  isdefault: boolean('whether it came with the installation', () => true),
  ispublic: boolean('whether administrators of domains see it', () => true),
  state: string('enabled', () => 'enabled'),
})
