import { objectCommand } from '../command.ts'
import { capabilityView } from '../views/capability.ts'

export const listCapabilities = objectCommand({
  name: 'listCapabilities',
  description: 'Tells what this installation can and allows',
  permission: 'user',
  params: {},
  view: capabilityView,
  run: async ({ app }) => app.settings,
})
