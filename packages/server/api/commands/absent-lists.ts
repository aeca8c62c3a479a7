// Lists that clients ask for before they do anything, of things that do not exist here. They are empty, which is the truth.
import type { Command } from '../command.ts'
import { listCommand } from '../command.ts'
import { string, view } from '../view.ts'

export const listAlerts = emptyList('listAlerts', 'alert', 'alerts')
export const listLdapConfigurations = emptyList(
  'listLdapConfigurations',
  'LdapConfiguration',
  'LDAP servers',
  'ldapconfigurationresponse',
)
export const listProjects = emptyList('listProjects', 'project', 'projects')
export const listSecurityGroups = emptyList('listSecurityGroups', 'securitygroup', 'security groups')
export const listVPCs = emptyList('listVPCs', 'vpc', 'virtual private clouds')

function emptyList(name: string, object: string, things: string, envelope?: string): Command {
  return listCommand({
    name,
    description: `Lists ${things}, of which there are none`,
    permission: 'user',
    params: {},
    view: view<never>(object, { id: string('the id', () => undefined), name: string('the name', () => undefined) }),
    ...(envelope && { envelope }),
    run: async () => ({ count: 0, items: [] }),
  })
}
