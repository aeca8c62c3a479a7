import { limitedResourceNames } from '@ramet/core/limits.ts'
import { listCommand } from '../command.ts'
import { ownershipParameters } from '../ownership.ts'
import { text } from '../parameters.ts'
import { pageOfAll } from '../query.ts'
import { limitOwner, onWire, readResource, resourceType, roomOf } from '../resource-limits.ts'
import { resourceLimitView } from '../views/resource-limit.ts'

export const listResourceLimits = listCommand({
  name: 'listResourceLimits',
  description: 'Lists the limits of an account, or of a domain when domainid comes without account',
  permission: 'user',
  params: {
    ...ownershipParameters,
    resourcetype: resourceType,
    resourcetypename: text('the name of what is limited, such as user_vm'),
  },
  view: resourceLimitView,
  run: async ({ app, caller, params, page }) => {
    const wanted = readResource(params.resourcetype)
    const owner = await limitOwner(app, caller, params)
    const { limits } = await roomOf(app, owner)
    const named = params.resourcetypename?.toLowerCase()
    const found = limitedResourceNames
      .filter(name => (!wanted || name === wanted) && (!named || name === named))
      .map(name => ({ ...onWire(owner, name), most: limits[name] }))
    return pageOfAll(found, page)
  },
})
