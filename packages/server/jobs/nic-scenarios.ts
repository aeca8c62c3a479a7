// How each job on NICs is brought about, and what its failure must leave (jobs.test.ts).
import type { NicId, VmId } from '@ramet/core/ids.ts'
import { aNetwork, type Lab } from '../testing/lab.ts'
import { aMachine, done } from '../testing/volumes.ts'
import { addNic } from './add-nic.ts'
import { removeNic } from './remove-nic.ts'
import { restartNetwork } from './restart-network.ts'
import { scenario, type Scenario } from './scenario.ts'
import { updateDefaultNic } from './update-default-nic.ts'

export const nicScenarios: readonly Scenario[] = [
  scenario(addNic, anAddition, 'restores'),
  scenario(removeNic, aSecondNic, 'restores'),
  scenario(updateDefaultNic, aSecondNic, 'restores'),
]

/** The network's segment is made at its first card, and stays. */
async function anAddition(lab: Lab) {
  const [{ vm }, network] = [await aMachine(lab, 'Running'), await aNetwork(lab)]
  await done(lab, restartNetwork, { network })
  return { vm, network }
}

/** A running machine's. */
export async function aSecondNic(lab: Lab): Promise<{ vm: VmId; nic: NicId }> {
  const addition = await anAddition(lab)
  await done(lab, addNic, addition)
  const { id } = await lab.app.db
    .selectFrom('nic')
    .select('id')
    .where('network_id', '=', addition.network)
    .executeTakeFirstOrThrow()
  return { vm: addition.vm, nic: id }
}
