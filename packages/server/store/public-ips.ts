// Public addresses on disk: which addresses of the host an account uses as ways into a network.
import { newId, type PublicIpId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Db, Tx } from './database.ts'
import { holdRoom } from './limits.ts'
import { demandStayingNetwork, type Network } from './networks.ts'
import type { Row } from './tables.ts'
import { tagsIn } from './tags.ts'

export type PublicIp = Row<'public_ip'>

/** Jobs on one public address run one at a time; this is their key. */
export function publicIpLock(id: PublicIpId): string {
  return `public-ip:${id}`
}

export async function publicIpById(db: Db, id: PublicIpId): Promise<PublicIp | undefined> {
  return db.selectFrom('public_ip').selectAll().where('id', '=', id).executeTakeFirst()
}

/** The first of `addresses` that the account does not have in the network yet. */
export async function insertPublicIp(
  tx: Tx,
  account: Row<'account'>,
  network: Network,
  addresses: readonly string[],
): Promise<PublicIpId> {
  await holdRoom(tx, account.id, { publicIp: 1 })
  await demandStayingNetwork(tx, network)
  for (const address of addresses) {
    const row = { id: newId<'public-ip'>(), account_id: account.id, zone_id: network.zone_id, network_id: network.id }
    const made = await tx
      .insertInto('public_ip')
      .values({ ...row, address })
      .onConflict(conflict => conflict.doNothing())
      .returning('id')
      .executeTakeFirst()
    if (made) return made.id
  }
  throw new Problem(
    'no-capacity',
    'no-public-address',
    `Network ${network.name} has each of ${addresses.join(', ')} already; rules for other ports can be made on those (listPublicIpAddresses)`,
  )
}

/** The address, locked until the transaction ends; no rule is made on it meanwhile. */
export async function holdPublicIp(tx: Tx, id: PublicIpId): Promise<PublicIp | undefined> {
  return tx.selectFrom('public_ip').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
}

/** Addresses with everything that a list shows of them. */
export function selectPublicIps(db: Db) {
  return db
    .selectFrom('public_ip')
    .innerJoin('network', 'network.id', 'public_ip.network_id')
    .innerJoin('zone', 'zone.id', 'public_ip.zone_id')
    .innerJoin('account', 'account.id', 'public_ip.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .selectAll('public_ip')
    .select(['network.name as network_name', 'zone.name as zone_name', 'account.name as account_name'])
    .select(['domain.id as domain_id', 'domain.name as domain_name', 'domain.path as domain_path'])
    .select(tagsIn(db, 'public_ip.id').as('tags'))
}

export type ListedPublicIp = Awaited<ReturnType<ReturnType<typeof selectPublicIps>['execute']>>[number]
