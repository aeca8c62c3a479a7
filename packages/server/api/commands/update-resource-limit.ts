import { unlimited } from '@ramet/core/limits.ts'
import { Problem } from '@ramet/core/problem.ts'
import { recordEvent } from '../../store/events.ts'
import { setLimit } from '../../store/limits.ts'
import { isAdmin } from '../caller.ts'
import { objectCommand } from '../command.ts'
import { ownerParameters } from '../ownership.ts'
import { invalid, long } from '../parameters.ts'
import { isUnlimited, limitOwner, onWire, readResource, resourceType } from '../resource-limits.ts'
import { resourceLimitView } from '../views/resource-limit.ts'

export const updateResourceLimit = objectCommand({
  name: 'updateResourceLimit',
  description: 'Sets how much an account, or a domain with all below it, may have of something',
  permission: 'domain-admin',
  params: {
    ...ownerParameters,
    domainid: { ...ownerParameters.domainid, description: 'domain of the account; without account: the domain itself' },
    resourcetype: resourceType.must,
    max: long('the most there may be; -1 or absent: without limit; memory in MiB, storage in GiB', -1, 1e12),
  },
  view: resourceLimitView,
  async run({ app, caller, params }) {
    const resource = readResource(params.resourcetype)
    if (!resource) throw invalid('resourcetype', 'is missing')
    const owner = await limitOwner(app, caller, params)
    if (isUnlimited(owner))
      throw new Problem('refused', 'never-limited', 'Root administrators and the domain ROOT have no limits')
    const own = owner.account ? owner.account.id === caller.account.id : owner.domain.id === caller.domain.id
    if (own && !isAdmin(caller))
      throw new Problem(
        'forbidden',
        'own-limits',
        'Nobody sets limits of the own account or domain; ask who is above it',
      )
    const most = params.max ?? unlimited
    await app.db.transaction().execute(async tx => {
      const id = owner.account ? { account_id: owner.account.id } : { domain_id: owner.domain.id }
      await setLimit(tx, id, resource, most)
      await recordEvent(tx, {
        type: 'RESOURCE.LIMIT.UPDATE',
        description: `limited ${resource} of ${owner.account ? `account ${owner.account.name}` : `domain ${owner.domain.path}`} to ${most}`,
        account: owner.account?.id ?? caller.account.id,
        user: caller.user.id,
        resourceType: owner.account ? 'Account' : 'Domain',
        resource: owner.account?.id ?? owner.domain.id,
      })
    })
    return { ...onWire(owner, resource), most }
  },
})
