import { unknownId } from '../caller.ts'
import { changing } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { flag, id, integer, invalid, text } from '../parameters.ts'
import { reads } from '../query.ts'
import { hypervisorCapabilitiesView } from '../views/hypervisor-capabilities.ts'

export const updateHypervisorCapabilities = objectCommand({
  name: 'updateHypervisorCapabilities',
  description: 'Changes what a hypervisor is let do; machines that run and disks that are attached stay',
  permission: 'admin',
  params: {
    id: id<'hypervisor-capabilities'>('the capabilities; or hypervisor'),
    hypervisor: text('the hypervisor, in place of id'),
    hypervisorversion: text('default: there are no others'),
    maxguestslimit: integer('machines that may run on a host at once', 1, 1_000_000),
    maxdatavolumeslimit: integer('data volumes that a machine may have', 0, 64),
    vmsnapshotenabled: flag('whether VM snapshots may be taken; those that are there stay'),
  },
  view: hypervisorCapabilitiesView,
  run: ({ app, caller, params }) =>
    changing({ app, caller }, async (tx, tell) => {
      const { hypervisor, hypervisorversion: version = 'default' } = params
      if (!params.id && !hypervisor) throw invalid('id', 'is missing; give it, or hypervisor')
      if (version.toLowerCase() !== 'default') throw invalid('hypervisorversion', `must be default; it is "${version}"`)
      const changed = await tx
        .updateTable('hypervisor_capabilities')
        .set(eb => ({
          max_guests: params.maxguestslimit ?? eb.ref('max_guests'),
          max_data_volumes: params.maxdatavolumeslimit ?? eb.ref('max_data_volumes'),
          vm_snapshot_enabled: params.vmsnapshotenabled ?? eb.ref('vm_snapshot_enabled'),
        }))
        .$if(params.id !== undefined, query => query.where('id', '=', params.id as NonNullable<typeof params.id>))
        .$if(hypervisor !== undefined, query => query.where(reads('hypervisor', hypervisor ?? '')))
        .returningAll()
        .executeTakeFirst()
      if (!changed) throw unknownId(params.id ? 'id' : 'hypervisor', params.id ?? hypervisor ?? '')
      await tell({
        type: 'HYPERVISOR.CAPABILITIES.EDIT',
        description: `changed the capabilities of ${changed.hypervisor}`,
        resourceType: 'HypervisorCapabilities',
        resource: changed.id,
      })
      return changed
    }),
})
