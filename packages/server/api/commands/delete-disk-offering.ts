import { recordEvent } from '../../store/events.ts'
import { unknownId } from '../caller.ts'
import { plainCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { successView } from '../views/success.ts'

export const deleteDiskOffering = plainCommand({
  name: 'deleteDiskOffering',
  description: 'Removes a disk offering; disks made from it keep it',
  permission: 'admin',
  params: { id: id<'disk-offering'>('the disk offering').must },
  answer: successView,
  run: ({ app, caller, params }) =>
    app.db.transaction().execute(async tx => {
      const offering = await tx
        .updateTable('disk_offering')
        .set({ removed: new Date() })
        .where('id', '=', params.id)
        .where('removed', 'is', null)
        .returning('name')
        .executeTakeFirst()
      if (!offering) throw unknownId('id', params.id)
      await recordEvent(tx, {
        type: 'DISK.OFFERING.DELETE',
        description: `removed disk offering ${offering.name}`,
        account: caller.account.id,
        user: caller.user.id,
        resourceType: 'DiskOffering',
        resource: params.id,
      })
      return { success: true }
    }),
})
