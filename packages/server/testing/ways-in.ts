// Public addresses and rules for forwarding ports, written straight into the database.
import { type NetworkId, newId, type VmId } from '@ramet/core/ids.ts'
import type { PortForwardingRule } from '../store/port-forwarding.ts'
import { insertNic } from '../store/nics.ts'
import type { Lab } from './lab.ts'

let port = 20_000

/** The machine gets a NIC in the network, and a port of the host leads there as soon as that is settled. */
export async function aWayIn(
  { app: { db } }: Lab,
  { network: id, vm: machine }: { readonly network: NetworkId; readonly vm: VmId },
  state: PortForwardingRule['state'] = 'Active',
) {
  const network = await db.selectFrom('network').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const vm = await db.selectFrom('vm').selectAll().where('id', '=', machine).executeTakeFirstOrThrow()
  const nic = await db.transaction().execute(tx => insertNic(tx, vm, { network, place: 7, isDefault: false }))
  const [ip, rule, address] = [newId<'public-ip'>(), newId<'port-forwarding-rule'>(), '127.0.0.1']
  const { account_id } = vm
  await db
    .insertInto('public_ip')
    .values({ id: ip, account_id, zone_id: network.zone_id, network_id: id, address, state: 'Allocated' })
    .execute()
  const place = { public_ip_id: ip, address, public_port: (port += 1), nic_id: nic.id, private_port: 80 }
  await db
    .insertInto('port_forwarding_rule')
    .values({ id: rule, account_id, state, ...place })
    .execute()
  return { ip, rule, port: { address, port } }
}
