import { recordEvent } from '../../store/events.ts'
import { unknownId } from '../caller.ts'
import { plainCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { successView } from '../views/success.ts'

export const deleteServiceOffering = plainCommand({
  name: 'deleteServiceOffering',
  description: 'Removes a service offering; machines made from it keep it',
  permission: 'admin',
  params: { id: id<'service-offering'>('the service offering').must },
  answer: successView,
  run: ({ app, caller, params }) =>
    app.db.transaction().execute(async tx => {
      const offering = await tx
        .updateTable('service_offering')
        .set({ removed: new Date() })
        .where('id', '=', params.id)
        .where('removed', 'is', null)
        .returning('name')
        .executeTakeFirst()
      if (!offering) throw unknownId('id', params.id)
      await recordEvent(tx, {
        type: 'SERVICE.OFFERING.DELETE',
        description: `removed service offering ${offering.name}`,
        account: caller.account.id,
        user: caller.user.id,
        resourceType: 'ServiceOffering',
        resource: params.id,
      })
      return { success: true }
    }),
})
