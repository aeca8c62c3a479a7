// Guest networks on disk.
import { type AccountId, newId, type ZoneId } from '@ramet/core/ids.ts'
import type { Tx } from './database.ts'

/** The network that machines of a zone get when nothing else is asked for; each is alone behind NAT there. */
export async function newNetwork(tx: Tx, account: AccountId, zone: ZoneId): Promise<void> {
  await tx
    .insertInto('network')
    .values({
      id: newId(),
      account_id: account,
      zone_id: zone,
      network_offering_id: await natOffering(tx),
      name: 'default',
      display_text: 'Default network',
      cidr: '10.1.0.0/16',
      gateway: '10.1.0.1',
      start_ip: '10.1.0.10', // those below are the network's own, such as its name server
      end_ip: '10.1.255.254',
    })
    .execute()
}

async function natOffering(tx: Tx) {
  const known = await tx.selectFrom('network_offering').select('id').orderBy('created').executeTakeFirst()
  if (known) return known.id
  const id = newId<'network-offering'>()
  await tx
    .insertInto('network_offering')
    .values({
      id,
      name: 'NatNetworkOffering',
      display_text: 'Each machine alone behind NAT, its SSH forwarded to a port of 127.0.0.1',
      guest_ip_type: 'Isolated',
    })
    .execute()
  return id
}
