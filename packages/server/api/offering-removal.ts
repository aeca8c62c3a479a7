// All sorts of offerings go in one way: nobody new gets them, and whoever has one keeps it.
import type { DiskOfferingId, NetworkOfferingId, ServiceOfferingId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import { recordEvent } from '../store/events.ts'
import { type Caller, unknownId } from './caller.ts'

const sorts = {
  disk: { table: 'disk_offering', event: 'DISK.OFFERING.DELETE', type: 'DiskOffering' },
  network: { table: 'network_offering', event: 'NETWORK.OFFERING.DELETE', type: 'NetworkOffering' },
  service: { table: 'service_offering', event: 'SERVICE.OFFERING.DELETE', type: 'ServiceOffering' },
} as const

export function removeOffering(
  app: App,
  caller: Caller,
  sort: keyof typeof sorts,
  id: DiskOfferingId | NetworkOfferingId | ServiceOfferingId,
): Promise<{ success: boolean }> {
  const { table, event, type } = sorts[sort]
  return app.db.transaction().execute(async tx => {
    const offering = await tx
      .updateTable(table)
      .set({ removed: new Date() })
      .where('id', '=', id as never)
      .where('removed', 'is', null)
      .returning('name')
      .executeTakeFirst()
    if (!offering) throw unknownId('id', id)
    await recordEvent(tx, {
      type: event,
      description: `removed ${sort} offering ${offering.name}`,
      account: caller.account.id,
      user: caller.user.id,
      resourceType: type,
      resource: id,
    })
    return { success: true }
  })
}
