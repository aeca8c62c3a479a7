import { plainCommand } from '../command.ts'
import { permissionParameters, updatePermissions } from '../image-permissions.ts'
import { successView } from '../views/success.ts'

export const updateTemplatePermissions = plainCommand({
  name: 'updateTemplatePermissions',
  description: 'Says who may use the template besides its owner: everybody, or accounts of its domain',
  permission: 'user',
  params: permissionParameters,
  answer: successView,
  run: ({ app, caller, params }) => updatePermissions(app, caller, 'template', params),
})
