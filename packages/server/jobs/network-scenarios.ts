// How each job on networks is brought about, and what its failure must leave (jobs.test.ts).
import assert from 'node:assert/strict'
import type { NetworkId, VmId } from '@ramet/core/ids.ts'
import { simulatorOf } from '../drivers/simulated/simulator.ts'
import { forwardKey } from '../drivers/simulated/world.ts'
import { inTransaction } from '../store/database.ts'
import { insertRule, type PortForwardingRule, ruleById } from '../store/port-forwarding.ts'
import { aDeployment, aNetwork, aTemplate, type Lab, run } from '../testing/lab.ts'
import { aWayIn } from '../testing/ways-in.ts'
import { associateIp } from './associate-ip.ts'
import { createPortForwarding } from './create-port-forwarding.ts'
import { deleteNetwork } from './delete-network.ts'
import { deletePortForwarding } from './delete-port-forwarding.ts'
import { disassociateIp } from './disassociate-ip.ts'
import { restartNetwork } from './restart-network.ts'
import { scenario, type Scenario } from './scenario.ts'
import { settlePort } from './settle-port.ts'
import { updateNetwork } from './update-network.ts'
import { updatePortForwarding } from './update-port-forwarding.ts'

export const networkScenarios: readonly Scenario[] = [
  scenario(deleteNetwork, aMadeNetwork, isMadeAgain),
  scenario(restartNetwork, aMadeNetwork, 'restores'),
  scenario(
    updateNetwork,
    async lab => ({ ...(await aMadeNetwork(lab)), to: { name: 'new', network_domain: 'new.internal' } }),
    'restores',
  ),
  scenario(associateIp, async lab => ({ ip: await anAddress(lab) }), 'again'),
  scenario(disassociateIp, lab => aForward(lab), 'again'),
  scenario(createPortForwarding, lab => aRule(lab, 'Add'), isWrittenAgain),
  scenario(deletePortForwarding, lab => aForward(lab), 'again'),
  scenario(updatePortForwarding, async lab => ({ ...(await aForward(lab)), to: { port: 81 } }), 'restores'),
]

/** A public address that is being allocated. */
async function anAddress(lab: Lab) {
  const { ip } = await aRule(lab, 'Revoke')
  await lab.app.db.deleteFrom('port_forwarding_rule').execute()
  await lab.app.db.updateTable('public_ip').set({ state: 'Allocating' }).where('id', '=', ip).execute()
  return ip
}

async function aRule(lab: Lab, state: PortForwardingRule['state'], machine?: VmId) {
  const { network } = await aMadeNetwork(lab)
  const vm = machine ?? (await aDeployment(lab, await aTemplate(lab))).vm
  return aWayIn(lab, { network, vm }, state)
}

/** A rule, and a port that leads where it says: to the machine, or to one that never ran. */
export async function aForward(lab: Lab, vm?: VmId) {
  const made = await aRule(lab, 'Active', vm)
  await settlePort({ db: lab.app.db, driver: simulatorOf(lab.world).driver }, made.port)
  return made
}

/** Nothing is left of it, and a call that asks again writes a rule of its own. */
async function isWrittenAgain(lab: Lab, { ip, rule, port }: Awaited<ReturnType<typeof aRule>>): Promise<void> {
  assert.equal(await ruleById(lab.app.db, rule), undefined)
  assert.ok(!lab.world.forwards.has(forwardKey(port)))
  const nics = lab.app.db.selectFrom('nic').innerJoin('public_ip', 'public_ip.network_id', 'nic.network_id')
  const { id: nic_id } = await nics.select('nic.id').where('public_ip.id', '=', ip).executeTakeFirstOrThrow()
  const { account_id } = await lab.app.db
    .selectFrom('public_ip')
    .selectAll()
    .where('id', '=', ip)
    .executeTakeFirstOrThrow()
  const place = {
    account_id,
    public_ip_id: ip,
    address: port.address,
    public_port: port.port,
    nic_id,
    private_port: 80,
  }
  await inTransaction(lab.app.db, tx => insertRule(tx, { id: rule, ...place }))
}

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
