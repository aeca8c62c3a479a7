import { changeAffinityGroup } from '../../jobs/change-affinity-group.ts'
import { affinityGroupNamed } from '../../store/affinity.ts'
import { demandOwned, originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { ownerOf, ownerParameters } from '../ownership.ts'
import { id, invalid, text } from '../parameters.ts'

export const deleteAffinityGroup = jobCommand({
  name: 'deleteAffinityGroup',
  description: 'Removes an affinity group; its machines stay where they are, and are free to go elsewhere',
  permission: 'user',
  params: { ...ownerParameters, id: id<'affinity-group'>('the group; or its name'), name: text('its name; or its id') },
  async run({ app, caller, params }) {
    const origin = originOfCall(caller, 'deleteAffinityGroup')
    if ((params.id === undefined) === (params.name === undefined))
      throw invalid('id', 'or name is needed, and only one of them')
    const owner = await ownerOf(app, caller, params)
    const found = params.id
      ? await app.db.selectFrom('affinity_group').selectAll().where('id', '=', params.id).executeTakeFirst()
      : await affinityGroupNamed(app.db, owner.id, params.name ?? '')
    const group = await demandOwned(app, caller, found, params.id ? 'id' : 'name', params.id ?? params.name ?? '')
    return { jobid: await app.jobs.start(app.db, changeAffinityGroup, { group: group.id }, origin) }
  },
})
