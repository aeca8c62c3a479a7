import { recordEvent } from '../../store/events.ts'
import { selectGroups } from '../../store/instance-groups.ts'
import { demandOwned } from '../caller.ts'
import { plainCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { successView } from '../views/success.ts'

export const deleteInstanceGroup = plainCommand({
  name: 'deleteInstanceGroup',
  description: 'Removes a group; the machines in it stay, without a group',
  permission: 'user',
  params: { id: id<'instance-group'>('the group').must },
  answer: successView,
  run: ({ app, caller, params }) =>
    app.db.transaction().execute(async tx => {
      const found = await selectGroups(tx).where('instance_group.id', '=', params.id).executeTakeFirst()
      const group = await demandOwned(app, caller, found, 'id', params.id)
      await tx.deleteFrom('instance_group').where('id', '=', group.id).execute()
      await recordEvent(tx, {
        type: 'VM.GROUP.DELETE',
        description: `removed instance group ${group.name}`,
        account: group.account_id,
        user: caller.user.id,
        resourceType: 'InstanceGroup',
        resource: group.id,
      })
      return { success: true }
    }),
})
