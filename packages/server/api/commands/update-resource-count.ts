import { limitedResourceNames } from '@ramet/core/limits.ts'
import { listAnswer, plainCommand } from '../command.ts'
import { ownerParameters } from '../ownership.ts'
import { id } from '../parameters.ts'
import { limitOwner, onWire, readResource, resourceType, roomOf } from '../resource-limits.ts'
import { resourceCountView } from '../views/resource-limit.ts'

export const updateResourceCount = plainCommand({
  name: 'updateResourceCount',
  description:
    'Counts what an account, or a domain with all below it, has; nothing is ever counted wrong, so nothing changes',
  permission: 'domain-admin',
  params: {
    ...ownerParameters,
    domainid: id<'domain'>('domain of the account; without account: the domain itself').must,
    resourcetype: resourceType,
  },
  answer: resourceCountView,
  async run({ app, caller, params }) {
    const wanted = readResource(params.resourcetype)
    const owner = await limitOwner(app, caller, params)
    const { use } = await roomOf(app, owner)
    const counts = limitedResourceNames
      .filter(name => !wanted || name === wanted)
      .map(name => ({ ...onWire(owner, name), amount: use[name] }))
    return listAnswer(resourceCountView, counts.length, counts, caller)
  },
})
