import { type CloneType, cloneTypes } from '@ramet/core/clone-type.ts'
import { recordEvent } from '../../store/events.ts'
import { unknownId } from '../caller.ts'
import { objectCommand } from '../command.ts'
import { choice, id, integer, type Parameter, text } from '../parameters.ts'
import { serviceOfferingView } from '../views/service-offering.ts'

const cloneType = choice(
  'full or linked clones; empty: the storage pool or the global setting decides again',
  cloneTypes,
)

const cloneTypeOrNone: Parameter<CloneType | null | undefined> = {
  ...cloneType,
  read: (name, raw) => (raw.get(name) === '' ? null : cloneType.read(name, raw)),
}

export const updateServiceOffering = objectCommand({
  name: 'updateServiceOffering',
  description: 'Changes a service offering; machines made from it stay as they are',
  permission: 'admin',
  params: {
    id: id<'service-offering'>('the service offering').must,
    name: text('new name'),
    displaytext: text('new description'),
    sortkey: integer('place in lists, lowest first', -2_147_483_648, 2_147_483_647),
    clonetype: cloneTypeOrNone,
  },
  view: serviceOfferingView,
  run: ({ app, caller, params }) =>
    app.db.transaction().execute(async tx => {
      const offering = await tx
        .updateTable('service_offering')
        .set(eb => ({
          name: params.name || eb.ref('name'),
          display_text: params.displaytext || eb.ref('display_text'),
          sort_key: params.sortkey ?? eb.ref('sort_key'),
          clone_type: params.clonetype === undefined ? eb.ref('clone_type') : params.clonetype,
        }))
        .where('id', '=', params.id)
        .where('removed', 'is', null)
        .returningAll()
        .executeTakeFirst()
      if (!offering) throw unknownId('id', params.id)
      await recordEvent(tx, {
        type: 'SERVICE.OFFERING.EDIT',
        description: `changed service offering ${offering.name}`,
        account: caller.account.id,
        user: caller.user.id,
        resourceType: 'ServiceOffering',
        resource: offering.id,
      })
      return offering
    }),
})
