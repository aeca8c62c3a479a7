import { insertGroup, selectGroups } from '../../store/instance-groups.ts'
import { objectCommand } from '../command.ts'
import { ownerOf, ownerParameters } from '../ownership.ts'
import { invalid, text } from '../parameters.ts'
import { instanceGroupView } from '../views/instance-group.ts'

export const createInstanceGroup = objectCommand({
  name: 'createInstanceGroup',
  description: 'Creates a group, by which people sort their machines',
  permission: 'user',
  params: { ...ownerParameters, name: text('name').must },
  view: instanceGroupView,
  async run({ app, caller, params }) {
    const owner = await ownerOf(app, caller, params)
    return app.db.transaction().execute(async tx => {
      const id = await insertGroup(tx, owner.id, params.name, caller.user.id)
      if (!id) throw invalid('name', `is taken: account ${owner.name} has a group ${params.name} already`)
      return selectGroups(tx).where('instance_group.id', '=', id).executeTakeFirstOrThrow()
    })
  },
})
