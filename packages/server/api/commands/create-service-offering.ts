import { cloneTypes } from '@ramet/core/clone-type.ts'
import { newId } from '@ramet/core/ids.ts'
import { recordEvent } from '../../store/events.ts'
import { objectCommand } from '../command.ts'
import { choice, integer, text } from '../parameters.ts'
import { storageTags } from '../storage-tags.ts'
import { serviceOfferingView } from '../views/service-offering.ts'

export const createServiceOffering = objectCommand({
  name: 'createServiceOffering',
  description: 'Creates a service offering: CPUs, memory and clone type of machines',
  permission: 'admin',
  params: {
    name: text('name').must,
    displaytext: text('description; the name when absent'),
    cpunumber: integer('virtual CPUs', 1, 255).must,
    cpuspeed: integer('MHz of each', 0, 1_000_000),
    memory: integer('memory in MiB', 32, 16 * 1024 * 1024).must,
    storagetype: choice('where disks are', ['shared', 'local']),
    tags: storageTags,
    clonetype: choice('full or linked clones; absent: the storage pool or the global setting decides', cloneTypes),
  },
  view: serviceOfferingView,
  run: ({ app, caller, params }) =>
    app.db.transaction().execute(async tx => {
      const offering = await tx
        .insertInto('service_offering')
        .values({
          id: newId(),
          name: params.name,
          display_text: params.displaytext || params.name,
          cpus: params.cpunumber,
          cpu_mhz: params.cpuspeed ?? 1000,
          memory_mib: params.memory,
          clone_type: params.clonetype ?? null,
          storage_type: params.storagetype ?? 'shared',
          storage_tags: params.tags ?? [],
        })
        .returningAll()
        .executeTakeFirstOrThrow()
      await recordEvent(tx, {
        type: 'SERVICE.OFFERING.CREATE',
        description: `created service offering ${offering.name}`,
        account: caller.account.id,
        user: caller.user.id,
        resourceType: 'ServiceOffering',
        resource: offering.id,
      })
      return offering
    }),
})
