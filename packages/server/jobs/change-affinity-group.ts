// Makes or removes an affinity group. Both are one record; they are jobs because CloudStack's clients expect to wait.
import type { AccountId, AffinityGroupId } from '@ramet/core/ids.ts'
import type { AffinityType } from '@ramet/core/placement.ts'
import { Problem } from '@ramet/core/problem.ts'
import { defineJob, nothing } from './define-job.ts'

export interface ChangeAffinityGroup {
  readonly group: AffinityGroupId
  /** What the group is to be; absent where it is to go. */
  readonly create?: {
    readonly account: AccountId
    readonly name: string
    readonly type: AffinityType
    readonly description: string | null
  }
}

export const changeAffinityGroup = defineJob<ChangeAffinityGroup>({
  kind: 'change-affinity-group',
  event: input => (input.create ? 'AG.CREATE' : 'AG.DELETE'),
  doing: 'changing affinity group',
  instanceType: 'None',
  cancellable: false,
  lock: input => `affinity-group:${input.group}`,
  instance: input => input.group,
}).record('change', {
  do: async ({ tx, input: { group, create } }) => {
    if (!create) {
      await tx.deleteFrom('affinity_group').where('id', '=', group).execute()
      return
    }
    const { account, ...facts } = create
    const row = await tx
      .insertInto('affinity_group')
      .values({ id: group, account_id: account, ...facts })
      .onConflict(conflict => conflict.columns(['account_id', 'name']).doNothing())
      .returning('id')
      .executeTakeFirst()
    if (row) return
    throw new Problem('refused', 'group-name-taken', `The account has an affinity group named ${create.name} already`)
  },
  undo: nothing('one transaction, and nothing follows it'),
})
