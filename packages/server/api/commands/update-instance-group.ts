import { recordEvent } from '../../store/events.ts'
import { selectGroups } from '../../store/instance-groups.ts'
import { demandOwned } from '../caller.ts'
import { objectCommand } from '../command.ts'
import { id, invalid, text } from '../parameters.ts'
import { instanceGroupView } from '../views/instance-group.ts'

export const updateInstanceGroup = objectCommand({
  name: 'updateInstanceGroup',
  description: 'Renames a group of machines',
  permission: 'user',
  params: { id: id<'instance-group'>('the group').must, name: text('new name') },
  view: instanceGroupView,
  run: ({ app, caller, params }) =>
    app.db.transaction().execute(async tx => {
      const groups = selectGroups(tx).where('instance_group.id', '=', params.id)
      const group = await demandOwned(app, caller, await groups.executeTakeFirst(), 'id', params.id)
      if (!params.name || params.name === group.name) return group
      const taken = await tx
        .selectFrom('instance_group')
        .select('id')
        .where('account_id', '=', group.account_id)
        .where('name', '=', params.name)
        .executeTakeFirst()
      if (taken) throw invalid('name', `is taken: account ${group.account_name} has a group ${params.name} already`)
      await tx.updateTable('instance_group').set({ name: params.name }).where('id', '=', group.id).execute()
      await recordEvent(tx, {
        type: 'VM.GROUP.UPDATE',
        description: `renamed instance group ${group.name} to ${params.name}`,
        account: group.account_id,
        user: caller.user.id,
        resourceType: 'InstanceGroup',
        resource: group.id,
      })
      return groups.executeTakeFirstOrThrow()
    }),
})
