// What the commands on affinity groups have in common: finding those that a call names, and the group as a job's result.
import type { AccountId, AffinityGroupId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import { affinityGroupNamed, type ListedAffinityGroup, selectAffinityGroups } from '../store/affinity.ts'
import { unknownId } from './caller.ts'
import type { JobResult } from './command.ts'
import { id, invalid, list, text } from './parameters.ts'
import { affinityGroupView } from './views/affinity-group.ts'

export const affinityParameters = {
  affinitygroupids: list('affinity groups, by id', id<'affinity-group'>('a group')),
  affinitygroupnames: list('affinity groups, by name', text('a name')),
}

interface Named {
  readonly affinitygroupids: readonly AffinityGroupId[] | undefined
  readonly affinitygroupnames: readonly string[] | undefined
}

/** The groups of the machine's owner that the call names. */
export async function chosenAffinityGroups(app: App, owner: AccountId, named: Named): Promise<AffinityGroupId[]> {
  const { affinitygroupids: ids = [], affinitygroupnames: names = [] } = named
  if (ids.length > 0 && names.length > 0)
    throw invalid('affinitygroupnames', 'excludes affinitygroupids; give one of them')
  const chosen = new Set<AffinityGroupId>()
  for (const each of ids) {
    const group = await app.db.selectFrom('affinity_group').selectAll().where('id', '=', each).executeTakeFirst()
    // Another account's group is none of this machine's, whoever asks.
    if (group?.account_id !== owner) throw unknownId('affinitygroupids', each)
    chosen.add(each)
  }
  for (const each of names) {
    const group = await affinityGroupNamed(app.db, owner, each)
    if (!group) throw invalid('affinitygroupnames', `names "${each}", which the machine's owner does not have`)
    chosen.add(group.id)
  }
  return [...chosen]
}

export const affinityGroupResult: JobResult<ListedAffinityGroup> = {
  view: affinityGroupView,
  read: (app, job) =>
    selectAffinityGroups(app.db)
      .where('affinity_group.id', '=', job.instance_id as AffinityGroupId)
      .executeTakeFirst(),
}
