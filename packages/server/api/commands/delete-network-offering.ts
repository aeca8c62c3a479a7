import { plainCommand } from '../command.ts'
import { removeOffering } from '../offering-removal.ts'
import { id } from '../parameters.ts'
import { successView } from '../views/success.ts'

export const deleteNetworkOffering = plainCommand({
  name: 'deleteNetworkOffering',
  description: 'Removes a network offering; networks made of it keep it',
  permission: 'admin',
  params: { id: id<'network-offering'>('the network offering').must },
  answer: successView,
  run: ({ app, caller, params }) => removeOffering(app, caller, 'network', params.id),
})
