// Deletes a network that no machine is in: its segment on the hosts, then its record. From the first step on nobody gets a NIC in it.
import type { NetworkId } from '@ramet/core/ids.ts'
import { demandEmpty, holdNetwork, networkLock } from '../store/networks.ts'
import { defineJob, nothing } from './define-job.ts'

export interface DeleteNetwork {
  readonly network: NetworkId
}

export const deleteNetwork = defineJob<DeleteNetwork>({
  kind: 'delete-network',
  event: 'NETWORK.DELETE',
  doing: 'deleting network',
  instanceType: 'Network',
  cancellable: false,
  lock: input => networkLock(input.network),
  instance: input => input.network,
})
  .record('begin', {
    do: async ({ tx, input }) => {
      await demandEmpty(tx, await holdNetwork(tx, input.network))
      await tx.updateTable('network').set({ state: 'Destroy' }).where('id', '=', input.network).execute()
    },
    undo: async ({ tx, input }) => {
      await tx.updateTable('network').set({ state: 'Allocated' }).where('id', '=', input.network).execute()
    },
  })
  .act('remove-segment', {
    do: ({ driver, input }) =>
      driver.capabilities.networks ? driver.networks.remove(input.network) : Promise.resolve(),
    undo: nothing('the segment is made again when a machine starts in it'),
  })
  .record('forget', {
    do: async ({ tx, input }) => {
      await tx.deleteFrom('resource_tag').where('resource_id', '=', input.network).execute()
      await tx.deleteFrom('public_ip').where('network_id', '=', input.network).execute()
      await tx.deleteFrom('network').where('id', '=', input.network).execute()
    },
    undo: nothing('nothing follows it'),
  })
