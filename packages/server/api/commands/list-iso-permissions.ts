import { objectCommand } from '../command.ts'
import { permissionsOf, permissionView } from '../image-permissions.ts'
import { id } from '../parameters.ts'

export const listIsoPermissions = objectCommand({
  name: 'listIsoPermissions',
  description: 'Tells who may use the iso besides its owner',
  permission: 'user',
  params: { id: id<'template'>('the iso').must },
  view: permissionView('isopermission'),
  run: ({ app, caller, params }) => permissionsOf(app, caller, 'iso', params.id),
})
