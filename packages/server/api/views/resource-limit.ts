// A limit, and what there is of what it limits, on the wire.
import { type LimitedResource, limitedResources } from '@ramet/core/limits.ts'
import { long, string, view } from '../view.ts'

interface Owner {
  /** null for the limit of a domain. */
  readonly account: string | null
  readonly domain_id: string
  readonly domain_name: string
  readonly resource: LimitedResource
}

export interface ListedLimit extends Owner {
  readonly most: number
}

export interface ListedCount extends Owner {
  readonly amount: number
}

const ownerFields = {
  account: string('the account; absent for a domain', (owner: Owner) => owner.account),
  domainid: string('the domain', (owner: Owner) => owner.domain_id),
  domain: string('the name of that domain', (owner: Owner) => owner.domain_name),
  resourcetype: string('the number of what is limited', (owner: Owner) =>
    String(limitedResources[owner.resource].number),
  ),
  resourcetypename: string('the name of what is limited', (owner: Owner) => owner.resource),
}

export const resourceLimitView = view<ListedLimit>('resourcelimit', {
  ...ownerFields,
  max: long('the most there may be; -1 is without limit; memory in MiB, storage in GiB', limit => limit.most),
})

export const resourceCountView = view<ListedCount>('resourcecount', {
  ...ownerFields,
  resourcecount: long('so much there is; memory in MiB, storage in bytes', count => count.amount),
})
