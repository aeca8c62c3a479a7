import { newId } from '@ramet/core/ids.ts'
import { affinityTypes } from '@ramet/core/placement.ts'
import { changeAffinityGroup } from '../../jobs/change-affinity-group.ts'
import { affinityGroupNamed } from '../../store/affinity.ts'
import { affinityGroupResult } from '../affinity-groups.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { ownerOf, ownerParameters } from '../ownership.ts'
import { choice, invalid, text } from '../parameters.ts'

export const createAffinityGroup = jobCommand({
  name: 'createAffinityGroup',
  description: 'Creates a group of machines that shall run on one host, or each on another',
  permission: 'user',
  params: {
    ...ownerParameters,
    name: text('name').must,
    type: choice('where its machines run', affinityTypes).must,
    description: text('description', 4096),
  },
  result: affinityGroupResult,
  async run({ app, caller, params }) {
    const owner = await ownerOf(app, caller, params)
    if (await affinityGroupNamed(app.db, owner.id, params.name))
      throw invalid('name', `is taken: account ${owner.name} has an affinity group ${params.name} already`)
    const group = newId<'affinity-group'>()
    const { name, type } = params
    const facts = { name, type, description: params.description ?? null, account: owner.id }
    const origin = originOfCall(caller, 'createAffinityGroup')
    return { id: group, jobid: await app.jobs.start(app.db, changeAffinityGroup, { group, create: facts }, origin) }
  },
})
