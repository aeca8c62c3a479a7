import { affinityTypes } from '@ramet/core/placement.ts'
import { listCommand } from '../command.ts'
import { pageOfAll } from '../query.ts'
import { affinityTypeView } from '../views/affinity-group.ts'

export const listAffinityGroupTypes = listCommand({
  name: 'listAffinityGroupTypes',
  description: 'Lists the types of affinity groups',
  permission: 'user',
  params: {},
  view: affinityTypeView,
  run: async ({ page }) => pageOfAll(affinityTypes, page),
})
