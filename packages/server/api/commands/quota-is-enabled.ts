import { objectCommand } from '../command.ts'
import { quotaView } from '../views/switched-off.ts'

export const quotaIsEnabled = objectCommand({
  name: 'quotaIsEnabled',
  description: 'Tells whether usage is counted against quotas: it is not',
  permission: 'user',
  params: {},
  view: quotaView,
  run: async () => false,
})
