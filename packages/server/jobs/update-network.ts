// Changes what a network is called, and what names of machines end in there; that is told to its segment too.
import type { NetworkId } from '@ramet/core/ids.ts'
import type { Tx } from '../store/database.ts'
import { holdNetwork, isSegment, networkById, networkLock, networkSpec, type Network } from '../store/networks.ts'
import { defineJob, nothing } from './define-job.ts'

type Names = Pick<Network, 'name' | 'display_text' | 'network_domain'>

export interface UpdateNetwork {
  readonly network: NetworkId
  readonly to: Partial<Names>
}

export const updateNetwork = defineJob<UpdateNetwork>({
  kind: 'update-network',
  event: 'NETWORK.UPDATE',
  doing: 'changing network',
  instanceType: 'Network',
  cancellable: false,
  lock: input => networkLock(input.network),
  instance: input => input.network,
})
  .record('remember', {
    do: async ({ tx, input }) => {
      const { name, display_text, network_domain } = await holdNetwork(tx, input.network)
      const isChanged = input.to.network_domain !== undefined && input.to.network_domain !== network_domain
      const isToTell = isChanged && (await isSegment(tx, input.network))
      return { names: { name, display_text, network_domain }, isToTell }
    },
    undo: nothing('it changes nothing'),
  })
  .record('write', {
    do: ({ tx, input }) => write(tx, input.network, input.to),
    undo: ({ tx, input, made }) => write(tx, input.network, made.remember.names),
  })
  .actWhen('tell-segment', {
    when: made => made.remember.isToTell,
    do: async ({ db, driver, input }) => {
      const network = await networkById(db, input.network)
      if (network) await driver.networks.ensure(await networkSpec(db, network))
    },
    undo: async ({ db, driver, input, made }) => {
      const network = await networkById(db, input.network)
      if (network) await driver.networks.ensure(await networkSpec(db, { ...network, ...made.remember.names }))
    },
  })

async function write(tx: Tx, id: NetworkId, names: Partial<Names>): Promise<void> {
  if (Object.keys(names).length > 0) await tx.updateTable('network').set(names).where('id', '=', id).execute()
}
