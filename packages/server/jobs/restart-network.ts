// Makes a network's segment where it is missing, and mends what of it was lost; machines in it go on.
import type { NetworkId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { isSegment, networkById, networkLock, networkSpec } from '../store/networks.ts'
import { defineJob, nothing } from './define-job.ts'

export interface RestartNetwork {
  readonly network: NetworkId
}

export const restartNetwork = defineJob<RestartNetwork>({
  kind: 'restart-network',
  event: 'NETWORK.RESTART',
  doing: 'restarting network',
  instanceType: 'Network',
  cancellable: false,
  lock: input => networkLock(input.network),
  instance: input => input.network,
}).act('ensure-segment', {
  do: async ({ db, driver, input }) => {
    const network = await networkById(db, input.network)
    if (!network) throw new Problem('invalid', 'unknown-network', `There is no network ${input.network}`)
    if (await isSegment(db, network.id)) await driver.networks.ensure(await networkSpec(db, network))
  },
  undo: nothing('a network that is whole stays so'),
})
