import { plainCommand } from '../command.ts'
import { removeOffering } from '../offering-removal.ts'
import { id } from '../parameters.ts'
import { successView } from '../views/success.ts'

export const deleteDiskOffering = plainCommand({
  name: 'deleteDiskOffering',
  description: 'Removes a disk offering; disks made from it keep it',
  permission: 'admin',
  params: { id: id<'disk-offering'>('the disk offering').must },
  answer: successView,
  run: ({ app, caller, params }) => removeOffering(app, caller, 'disk', params.id),
})
