// How each job on networks is brought about, and what its failure must leave (jobs.test.ts).
import assert from 'node:assert/strict'
import type { NetworkId } from '@ramet/core/ids.ts'
import { aNetwork, type Lab, run } from '../testing/lab.ts'
import { deleteNetwork } from './delete-network.ts'
import { restartNetwork } from './restart-network.ts'
import { scenario, type Scenario } from './scenario.ts'
import { updateNetwork } from './update-network.ts'

export const networkScenarios: readonly Scenario[] = [
  scenario(deleteNetwork, aMadeNetwork, isMadeAgain),
  scenario(restartNetwork, aMadeNetwork, 'restores'),
  scenario(
    updateNetwork,
    async lab => ({ ...(await aMadeNetwork(lab)), to: { name: 'new', network_domain: 'new.internal' } }),
    'restores',
  ),
]

/** A network, and its segment on the hypervisor. */
async function aMadeNetwork(lab: Lab) {
  const network = await aNetwork(lab)
  await run(lab, restartNetwork, { network })
  return { network }
}

/** Its record is as before; its segment is made again when a machine needs it. */
async function isMadeAgain(lab: Lab, input: { readonly network: NetworkId }): Promise<void> {
  assert.equal((await run(lab, restartNetwork, input)).state, 'done')
}
