import { cloneTypes } from '@ramet/core/clone-type.ts'
import { newId } from '@ramet/core/ids.ts'
import { sizeLimits } from '@ramet/core/offering.ts'
import { recordEvent } from '../../store/events.ts'
import { objectCommand } from '../command.ts'
import { offeredSizes } from '../offerings.ts'
import { choice, flag, integer, text } from '../parameters.ts'
import { storageTags } from '../storage-tags.ts'
import { serviceOfferingView } from '../views/service-offering.ts'

export const createServiceOffering = objectCommand({
  name: 'createServiceOffering',
  description: 'Creates a service offering: CPUs, memory and clone type of machines',
  permission: 'admin',
  params: {
    name: text('name').must,
    displaytext: text('description; the name when absent'),
    cpunumber: integer('virtual CPUs; with customized, absent: each machine says its own', ...sizeLimits.cpunumber),
    cpuspeed: integer('MHz of each; with customized, absent: each machine says its own', 0, 1_000_000),
    memory: integer('memory in MiB; with customized, absent: each machine says its own', ...sizeLimits.memory),
    customized: flag('each machine says what is absent here: details[0].cpuNumber, cpuSpeed, memory'),
    mincpunumber: integer('the least virtual CPUs that a machine may say', ...sizeLimits.cpunumber),
    maxcpunumber: integer('the most virtual CPUs that a machine may say', ...sizeLimits.cpunumber),
    minmemory: integer('the least MiB of memory that a machine may say', ...sizeLimits.memory),
    maxmemory: integer('the most MiB of memory that a machine may say', ...sizeLimits.memory),
    storagetype: choice('where disks are', ['shared', 'local']),
    tags: storageTags,
    networkrate: integer(
      'Mbit/s of the default NIC of each machine, either way; absent: its network offering decides',
      1,
      100_000,
    ),
    clonetype: choice('full or linked clones; absent: the storage pool or the global setting decides', cloneTypes),
  },
  view: serviceOfferingView,
  async run({ app, caller, params }) {
    const sizes = offeredSizes(params)
    return app.db.transaction().execute(async tx => {
      const offering = await tx
        .insertInto('service_offering')
        .values({
          id: newId(),
          name: params.name,
          display_text: params.displaytext || params.name,
          ...sizes,
          clone_type: params.clonetype ?? null,
          storage_type: params.storagetype ?? 'shared',
          storage_tags: params.tags ?? [],
          network_rate: params.networkrate ?? null,
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
    })
  },
})
