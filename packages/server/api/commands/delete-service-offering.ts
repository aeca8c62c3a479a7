import { plainCommand } from '../command.ts'
import { removeOffering } from '../offering-removal.ts'
import { id } from '../parameters.ts'
import { successView } from '../views/success.ts'

export const deleteServiceOffering = plainCommand({
  name: 'deleteServiceOffering',
  description: 'Removes a service offering; machines made from it keep it',
  permission: 'admin',
  params: { id: id<'service-offering'>('the service offering').must },
  answer: successView,
  run: ({ app, caller, params }) => removeOffering(app, caller, 'service', params.id),
})
