import { newId } from '@ramet/core/ids.ts'
import { recordEvent } from '../../store/events.ts'
import { objectCommand } from '../command.ts'
import { choice, flag, invalid, long, text } from '../parameters.ts'
import { storageTags } from '../storage-tags.ts'
import { diskOfferingView, gib } from '../views/disk-offering.ts'

export const createDiskOffering = objectCommand({
  name: 'createDiskOffering',
  description: 'Creates a disk offering: the size of data disks',
  permission: 'admin',
  params: {
    name: text('name').must,
    displaytext: text('description; the name when absent'),
    disksize: long('size in GiB; absent when customized', 1, 1024 * 1024),
    customized: flag('whether the size is given with each disk'),
    storagetype: choice('where disks are', ['shared', 'local']),
    tags: storageTags,
  },
  view: diskOfferingView,
  run: ({ app, caller, params }) => {
    if (params.disksize === undefined && !params.customized) throw invalid('disksize', 'is missing, or customized is')
    if (params.disksize !== undefined && params.customized) throw invalid('disksize', 'contradicts customized')
    return app.db.transaction().execute(async tx => {
      const offering = await tx
        .insertInto('disk_offering')
        .values({
          id: newId(),
          name: params.name,
          display_text: params.displaytext || params.name,
          size_bytes: params.disksize === undefined ? null : params.disksize * gib,
          storage_type: params.storagetype ?? 'shared',
          storage_tags: params.tags ?? [],
        })
        .returningAll()
        .executeTakeFirstOrThrow()
      await recordEvent(tx, {
        type: 'DISK.OFFERING.CREATE',
        description: `created disk offering ${offering.name}`,
        account: caller.account.id,
        user: caller.user.id,
        resourceType: 'DiskOffering',
        resource: offering.id,
      })
      return offering
    })
  },
})
