// Guest networks on disk, and the offerings that say what a network is.
import { type AccountId, type NetworkId, newId, type ZoneId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { type RawBuilder, sql, type SqlBool } from 'kysely'
import type { NetworkSpec } from '../drivers/networks.ts'
import type { Db, Tx } from './database.ts'
import type { Row } from './tables.ts'
import { tagsIn } from './tags.ts'

export type Network = Row<'network'>
type Addresses = 'cidr' | 'gateway' | 'start_ip' | 'end_ip'
export type AddressedNetwork = Network & { readonly [A in Addresses]: NonNullable<Network[A]> }

/** Whether the server gives addresses in it; in one that a hypervisor has of its own, somebody else does. */
export function isAddressed(network: Network): network is AddressedNetwork {
  return network.cluster_id === null
}

/** Jobs on one network run one at a time; this is their key. */
export function networkLock(network: NetworkId): string {
  return `network:${network}`
}

const offerings = [
  {
    name: 'NatNetworkOffering',
    display_text: 'Each machine alone behind NAT, its SSH forwarded to a port of 127.0.0.1',
    guest_ip_type: 'Isolated',
    is_segment: false,
  },
  {
    name: 'DefaultIsolatedNetworkOffering',
    display_text: 'A network of one account, whose machines reach each other; their SSH forwarded to ports of the host',
    guest_ip_type: 'Isolated',
  },
  {
    name: 'DefaultIsolatedNetworkOfferingWithSourceNatService',
    display_text:
      'A network of one account, whose machines reach each other and what is past the host; their SSH forwarded to ports of the host',
    guest_ip_type: 'Isolated',
    source_nat: true,
  },
  {
    name: 'DefaultSharedNetworkOffering',
    display_text:
      'A network for all accounts of a domain, whose machines reach each other; their SSH forwarded to ports of the host',
    guest_ip_type: 'Shared',
  },
] as const

/** Those that come with the installation. */
export async function makeNetworkOfferings(tx: Tx): Promise<void> {
  await tx
    .insertInto('network_offering')
    .values(offerings.map(offering => ({ ...offering, id: newId(), is_default: true })))
    .execute()
}

/** The network that machines of a zone get when nothing else is asked for; each is alone behind NAT there. */
export async function newDefaultNetwork(tx: Tx, account: AccountId, zone: ZoneId): Promise<void> {
  const alone = tx.selectFrom('network_offering').select('id').where('is_segment', '=', false)
  const offering = await alone.where('is_default', '=', true).executeTakeFirstOrThrow()
  const root = await tx.selectFrom('domain').select('id').where('level', '=', 0).executeTakeFirstOrThrow()
  await tx
    .insertInto('network')
    .values({
      id: newId(),
      account_id: account,
      zone_id: zone,
      network_offering_id: offering.id,
      name: 'default',
      display_text: 'Default network',
      cidr: '10.1.0.0/16',
      gateway: '10.1.0.1',
      start_ip: '10.1.0.10', // those below are the network's own, such as its name server
      end_ip: '10.1.255.254',
      domain_id: root.id,
    })
    .execute()
}

export async function networkById(db: Db, id: NetworkId): Promise<Network | undefined> {
  return db.selectFrom('network').selectAll().where('id', '=', id).executeTakeFirst()
}

/** The network's row, locked until the transaction ends; nobody gets a NIC in it meanwhile. */
export async function holdNetwork(tx: Tx, id: NetworkId): Promise<Network> {
  const network = await tx.selectFrom('network').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
  if (!network) throw new Problem('invalid', 'unknown-network', `There is no network ${id}`)
  return network
}

/** Within a transaction: its deletion waits until that ends. */
export async function demandStayingNetwork(db: Db, network: Network): Promise<void> {
  const { id, name } = network
  const now = await db.selectFrom('network').select('state').where('id', '=', id).forKeyShare().executeTakeFirst()
  if (now?.state !== 'Allocated' && !isAddressed(network)) throw ofInventory(network, 'is there no more; use another')
  if (now?.state !== 'Allocated')
    throw new Problem('refused', 'network-ending', `Network ${name} is being deleted; use another`)
}

/** Throws, with their names, while machines have NICs in it. */
export async function demandEmpty(tx: Tx, network: Network): Promise<void> {
  const machines = await tx
    .selectFrom('nic')
    .innerJoin('vm', 'vm.id', 'nic.vm_id')
    .select('vm.name')
    .where('nic.network_id', '=', network.id)
    .orderBy('vm.name')
    .limit(4)
    .execute()
  if (machines.length === 0) return
  const names = machines.map(({ name }) => name)
  const some = names.length > 3 ? `${names.slice(0, 3).join(', ')} and others` : names.join(', ')
  throw new Problem(
    'refused',
    'network-has-machines',
    `Machines have NICs in network ${network.name}: ${some}. Expunge them, or remove their NICs, first`,
  )
}

/**
 * Throws where the account has another network that leads outwards and shares addresses with this one. Networks that lead nowhere may
 * have the same: nothing tells them apart but the machines in them.
 */
export async function demandOwnAddresses(tx: Tx, account: AccountId, cidr: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`ramet.addresses ${account}`}, 0))`.execute(tx)
  const other = await tx
    .selectFrom('network')
    .innerJoin('network_offering', 'network_offering.id', 'network.network_offering_id')
    .select(['network.name', 'network.cidr'])
    .where('network.account_id', '=', account)
    .where('network_offering.is_segment', '=', true)
    .where('network_offering.source_nat', '=', true)
    .where(sql<boolean>`network.cidr && ${cidr}::cidr`)
    .executeTakeFirst()
  if (other)
    throw new Problem(
      'conflict',
      'networks-overlap',
      `Parameter gateway: ${cidr} overlaps with ${other.cidr} of network ${other.name}, which leads outwards as this one would; choose other addresses, or an offering without SourceNat`,
    )
}

export async function networkSpec(db: Db, network: Network): Promise<NetworkSpec> {
  if (!isAddressed(network)) throw ofInventory(network, 'has no segment of ours')
  const offering = await db
    .selectFrom('network_offering')
    .select(['source_nat', 'reaches_host'])
    .where('id', '=', network.network_offering_id)
    .executeTakeFirstOrThrow()
  return specOf({ ...network, ...offering })
}

type Described = Pick<AddressedNetwork, 'id' | 'cidr' | 'gateway' | 'network_domain'> &
  Pick<Row<'network_offering'>, 'source_nat' | 'reaches_host'>

export function specOf({ id, cidr, gateway, network_domain, source_nat, reaches_host }: Described): NetworkSpec {
  const outward = reaches_host ? 'host-too' : 'past-host'
  return { id, cidr, gateway, domain: network_domain, ...(source_nat && { outward }) }
}

/** It came with a cluster's inventory, and goes with that. */
export function ofInventory({ name }: Pick<Network, 'name'>, refusal: string): Problem {
  return new Problem(
    'refused',
    'network-of-inventory',
    `Network ${name} is the hypervisor's own, known by its inventory: it ${refusal}`,
  )
}

/** Whether it is a segment, which we have the hypervisor make, and not machines that are each alone. */
export async function isSegment(db: Db, id: NetworkId): Promise<boolean> {
  const row = await db
    .selectFrom('network')
    .innerJoin('network_offering', 'network_offering.id', 'network.network_offering_id')
    .select(['network_offering.is_segment', 'network_offering.of_inventory'])
    .where('network.id', '=', id)
    .executeTakeFirst()
  return row !== undefined && row.is_segment && !row.of_inventory
}

/** Whether accounts of the domain at `path`, or this one alone, may use the network. */
export function isUsableBy(account: AccountId, path: string): RawBuilder<SqlBool> {
  return sql<SqlBool>`(
    (network.domain_id is null and network.account_id = ${account}) or exists (
      select from domain whose where whose.id = network.domain_id and (whose.path = ${path} or
        network.subdomain_access and starts_with(${path} || '/', rtrim(whose.path, '/') || '/'))))`
}

/** The network that machines of a zone get when nothing else is asked for, and the hypervisor has none of its own. */
export async function defaultNetwork(
  db: Db,
  zone: ZoneId,
  isUsable: RawBuilder<SqlBool>,
): Promise<Network | undefined> {
  return db
    .selectFrom('network')
    .selectAll()
    .where('zone_id', '=', zone)
    .where('domain_id', 'is not', null)
    .where('cluster_id', 'is', null)
    .where('state', '=', 'Allocated')
    .where(isUsable)
    .orderBy('created')
    .executeTakeFirst()
}

/** Networks with everything that a list shows of them. */
export function selectNetworks(db: Db) {
  return db
    .selectFrom('network')
    .innerJoin('zone', 'zone.id', 'network.zone_id')
    .innerJoin('network_offering', 'network_offering.id', 'network.network_offering_id')
    .innerJoin('account', 'account.id', 'network.account_id')
    .innerJoin('domain', join =>
      join.on(eb => eb('domain.id', '=', eb.fn.coalesce('network.domain_id', 'account.domain_id'))),
    )
    .selectAll('network')
    .where('zone.removed', 'is', null)
    .select(['zone.name as zone_name', 'zone.dns1', 'network_offering.name as offering_name'])
    .select(['network_offering.display_text as offering_display_text', 'network_offering.guest_ip_type'])
    .select([
      'network_offering.is_segment',
      'network_offering.of_inventory',
      'account.name as account_name',
      'domain.id as shown_domain_id',
    ])
    .select(['domain.name as domain_name', 'domain.path as domain_path'])
    .select(isAtWork.as('is_at_work'))
    .select(tagsIn(db, 'network.id').as('tags'))
}

/** Whether machines in it are on, or about to be. */
const isAtWork = sql<boolean>`exists (select from nic join vm on vm.id = nic.vm_id
  where nic.network_id = network.id and vm.host_id is not null)`
