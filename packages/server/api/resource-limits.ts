// Whose limits a call means: an account's, or those of a whole domain.
import type { AccountId, DomainId } from '@ramet/core/ids.ts'
import { type LimitedResource, limitedResourceNames, limitedResources, resourceNumbered } from '@ramet/core/limits.ts'
import type { App } from '../app.ts'
import { type Room, roomsOf } from '../store/limits.ts'
import type { Row } from '../store/tables.ts'
import type { Caller } from './caller.ts'
import { domainInReach, ownerOf, ownerParameters } from './ownership.ts'
import { integer, invalid, type Values } from './parameters.ts'

const numbers = limitedResourceNames.map(name => `${limitedResources[name].number} ${limitedResources[name].label}`)

export const resourceType = integer(`what is limited: ${numbers.join(', ')}`, 0, 99)

export function readResource(resourcetype: number | undefined): LimitedResource | undefined {
  const resource = resourcetype === undefined ? undefined : resourceNumbered(resourcetype)
  if (resource || resourcetype === undefined) return resource
  throw invalid('resourcetype', `is ${resourcetype}, which is not limited here; these are: ${numbers.join(', ')}`)
}

export type LimitOwner =
  | { readonly scope: 'account'; readonly account: Row<'account'>; readonly domain: Row<'domain'> }
  | { readonly scope: 'domain'; readonly account: null; readonly domain: Row<'domain'> }

/** A domain without an account means the domain itself; neither means the caller's account. */
export async function limitOwner(
  app: App,
  caller: Caller,
  params: Values<typeof ownerParameters>,
): Promise<LimitOwner> {
  if (params.domainid && params.account === undefined)
    return { scope: 'domain', account: null, domain: await domainInReach(app, caller, params.domainid) }
  const account = await ownerOf(app, caller, params)
  const domain = await app.db
    .selectFrom('domain')
    .selectAll()
    .where('id', '=', account.domain_id)
    .executeTakeFirstOrThrow()
  return { scope: 'account', account, domain }
}

export function isUnlimited({ account, domain }: LimitOwner): boolean {
  return account ? account.type === 'Admin' : domain.level === 0
}

export async function roomOf(app: App, owner: LimitOwner): Promise<Room> {
  const id: AccountId | DomainId = owner.account?.id ?? owner.domain.id
  return (await roomsOf(app.db, owner.scope, [{ id, isUnlimited: isUnlimited(owner) }]))(id)
}

export function onWire({ account, domain }: LimitOwner, resource: LimitedResource) {
  return { account: account?.name ?? null, domain_id: domain.id, domain_name: domain.name, resource }
}
