// Instance groups: labels by which people sort their machines. A machine is in one or none.
import { type AccountId, type InstanceGroupId, newId, type UserId } from '@ramet/core/ids.ts'
import type { Db, Tx } from './database.ts'
import { recordEvent } from './events.ts'

/** The account's group of that name, made on demand. */
export async function groupNamed(
  tx: Tx,
  account: AccountId,
  name: string,
  user: UserId | null,
): Promise<InstanceGroupId> {
  const made = await insertGroup(tx, account, name, user)
  if (made) return made
  const found = await tx
    .selectFrom('instance_group')
    .select('id')
    .where('account_id', '=', account)
    .where('name', '=', name)
    .executeTakeFirstOrThrow()
  return found.id
}

/** Undefined when the account has a group of that name. */
export async function insertGroup(
  tx: Tx,
  account: AccountId,
  name: string,
  user: UserId | null,
): Promise<InstanceGroupId | undefined> {
  const row = await tx
    .insertInto('instance_group')
    .values({ id: newId(), account_id: account, name })
    .onConflict(conflict => conflict.columns(['account_id', 'name']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (!row) return undefined
  await recordEvent(tx, {
    type: 'VM.GROUP.CREATE',
    description: `created instance group ${name}`,
    account,
    user,
    resourceType: 'InstanceGroup',
    resource: row.id,
  })
  return row.id
}

export function selectGroups(db: Db) {
  return db
    .selectFrom('instance_group')
    .innerJoin('account', 'account.id', 'instance_group.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .selectAll('instance_group')
    .select(['account.name as account_name', 'domain.id as domain_id', 'domain.name as domain_name'])
    .select('domain.path as domain_path')
}

export type ListedGroup = Awaited<ReturnType<ReturnType<typeof selectGroups>['execute']>>[number]
