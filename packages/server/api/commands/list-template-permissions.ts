import { objectCommand } from '../command.ts'
import { permissionsOf, permissionView } from '../image-permissions.ts'
import { id } from '../parameters.ts'

export const listTemplatePermissions = objectCommand({
  name: 'listTemplatePermissions',
  description: 'Tells who may use the template besides its owner',
  permission: 'user',
  params: { id: id<'template'>('the template').must },
  view: permissionView('templatepermission'),
  run: ({ app, caller, params }) => permissionsOf(app, caller, 'template', params.id),
})
