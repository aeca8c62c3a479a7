import { objectCommand } from '../command.ts'
import { cloudianView } from '../views/switched-off.ts'

export const cloudianIsEnabled = objectCommand({
  name: 'cloudianIsEnabled',
  description: 'Tells whether Cloudian object storage is connected: it is not',
  permission: 'user',
  params: {},
  view: cloudianView,
  run: async () => false,
})
