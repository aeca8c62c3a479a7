import { roles } from '@ramet/core/roles.ts'
import { listCommand } from '../command.ts'
import { id, text } from '../parameters.ts'
import { pageOfAll } from '../query.ts'
import { roleView } from '../views/role.ts'

export const listRoles = listCommand({
  name: 'listRoles',
  description: 'Lists the roles that accounts can have; there are three, and they cannot be changed',
  permission: 'domain-admin',
  params: {
    id: id<'role'>('the role'),
    name: text('exact name'),
    type: text('Admin, DomainAdmin or User'),
    state: text('enabled: there are no others'),
  },
  view: roleView,
  run: async ({ params, page }) => {
    const matches = (wanted: string | undefined, value: string) =>
      !wanted || wanted.toLowerCase() === value.toLowerCase()
    const found = roles.filter(
      role =>
        matches(params.id, role.id) &&
        matches(params.name, role.name) &&
        matches(params.type, role.type) &&
        matches(params.state, 'enabled') &&
        role.name.toLowerCase().includes(page.keyword?.toLowerCase() ?? ''),
    )
    return pageOfAll(found, page)
  },
})
