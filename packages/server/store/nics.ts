// Network interfaces on disk. Address and MAC of a NIC are its own in its network, by constraint. They are
// taken in the transaction that makes the NIC, usually by one statement.
import { randomBytes } from 'node:crypto'
import { addressNumber, addressText } from '@ramet/core/ipv4.ts'
import { type NicId, newId, type VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { sql } from 'kysely'
import type { Db, Tx } from './database.ts'
import { eventRow } from './events.ts'
import { type AddressedNetwork, demandStayingNetwork, isAddressed } from './networks.ts'
import type { Row } from './tables.ts'

/** A NIC to be made; address and MAC are chosen for it where it does not name them. */
export interface NewNic {
  readonly network: Row<'network'>
  readonly ipAddress?: string | undefined
  readonly mac?: string | undefined
}

/** The first is the machine's default one. */
export async function insertNics(tx: Tx, vm: Row<'vm'>, nics: readonly NewNic[]): Promise<void> {
  const placed = nics.map((nic, place) => ({ nic, place }))
  // In one order everywhere: of two that want the same addresses, none waits for the other in a circle.
  for (const { nic, place } of placed.toSorted((a, b) => (a.nic.network.id < b.nic.network.id ? -1 : 1)))
    await insertNic(tx, vm, { ...nic, place, isDefault: place === 0 })
}

interface PlacedNic extends NewNic {
  readonly place: number
  readonly isDefault: boolean
}

const mostTries = 100

export async function insertNic(tx: Tx, vm: Row<'vm'>, nic: PlacedNic): Promise<Row<'nic'>> {
  const { network, ipAddress } = nic
  if (!isAddressed(network)) return insertWithout(tx, vm, nic)
  const wish = ipAddress ?? wishFor(vm, network)
  let address = wish
  for (let tries = 0; tries < mostTries; tries += 1) {
    const made = await tryInsert(tx, vm, nic, address)
    if (made) return made
    await demandFree(tx, nic)
    address = ipAddress ?? (await freeAddress(tx, network, wish))
  }
  throw contended(network)
}

/** In a network where somebody else gives addresses. */
async function insertWithout(tx: Tx, vm: Row<'vm'>, nic: PlacedNic): Promise<Row<'nic'>> {
  for (let tries = 0; tries < mostTries; tries += 1) {
    const made = await tryInsert(tx, vm, nic, null)
    if (made) return made
    await demandFree(tx, nic)
  }
  throw contended(nic.network)
}

function contended({ name }: Row<'network'>): Problem {
  return new Problem(
    'busy',
    'addresses-contended',
    `Others keep taking the free addresses of network ${name}; try again`,
  )
}

/** Machines are counted, and so is their place in the pool: neighbours in time rarely want the same one, and one let go rests longest. */
function wishFor({ number }: Row<'vm'>, { start_ip, end_ip, gateway }: AddressedNetwork): string {
  const first = addressNumber(start_ip) as number
  const size = (addressNumber(end_ip) as number) - first + 1
  const wish = addressText(first + (number % size))
  return wish === gateway ? start_ip : wish
}

/** Nothing where the address, or the MAC, is somebody's already, or the network is on its way out. */
async function tryInsert(
  tx: Tx,
  vm: Row<'vm'>,
  nic: PlacedNic,
  address: string | null,
): Promise<Row<'nic'> | undefined> {
  const id = newId<'nic'>()
  const event = eventRow({
    type: 'NIC.CREATE',
    description: `created NIC ${nic.place} of ${vm.name}`,
    account: vm.account_id,
    user: vm.user_id,
    resourceType: 'Nic',
    resource: id,
  })
  const { rows } = await sql<Row<'nic'>>`
    with made as (
      insert into nic (id, vm_id, network_id, device_id, mac, ip_address, is_default)
      select ${id}, ${vm.id}, id, ${nic.place}, ${nic.mac ?? newMac()}, ${address}::inet, ${nic.isDefault}
      from network where id = ${nic.network.id} and state = 'Allocated' for key share
      on conflict do nothing returning *),
    told as (
      insert into event (${sql.join(Object.keys(event).map(name => sql.ref(name)))})
      select ${sql.join(Object.values(event))} from made)
    select * from made`.execute(tx)
  return rows[0]
}

/** Throws where the network ends, or the call insists on what another NIC has. */
async function demandFree(db: Db, { network, ipAddress, mac }: PlacedNic): Promise<void> {
  await demandStayingNetwork(db, network)
  const taken = (column: 'ip_address' | 'mac', value: string) =>
    db.selectFrom('nic').select('id').where('network_id', '=', network.id).where(column, '=', value).executeTakeFirst()
  if (ipAddress !== undefined && (await taken('ip_address', ipAddress)))
    throw new Problem(
      'invalid',
      'address-taken',
      `Parameter ipaddress: ${ipAddress} is in use in network ${network.name}; leave it out to get a free one`,
    )
  if (mac !== undefined && (await taken('mac', mac)))
    throw new Problem(
      'invalid',
      'mac-taken',
      `Parameter macaddress: ${mac} is in use in network ${network.name}; leave it out to get a free one`,
    )
}

async function freeAddress(tx: Tx, { id, name, start_ip, end_ip }: AddressedNetwork, wish: string): Promise<string> {
  const { rows } = await sql<{ free: string | null }>`select free_address(${id}, ${wish}) as free`.execute(tx)
  const free = rows[0]?.free
  if (free) return free
  throw new Problem(
    'no-capacity',
    'no-free-address',
    `Network ${name} has no free address: machines have all of ${start_ip} to ${end_ip}. Expunge some, or use another network`,
  )
}

export async function nicOfVm(db: Db, { id, name }: Row<'vm'>, nic: NicId): Promise<Row<'nic'>> {
  const found = await db.selectFrom('nic').selectAll().where('id', '=', nic).where('vm_id', '=', id).executeTakeFirst()
  if (!found) throw new Problem('invalid', 'unknown-nic', `Virtual machine ${name} has no NIC ${nic}`)
  return found
}

/** A machine is shown with the address of its default NIC, and its guest sends through that. */
export function demandNotDefault({ name }: Row<'vm'>, nic: Row<'nic'>): void {
  if (nic.is_default)
    throw new Problem(
      'invalid',
      'nic-is-default',
      `NIC ${nic.id} is the default one of virtual machine ${name} and cannot be removed; make another the default first (updateDefaultNicForVirtualMachine)`,
    )
}

export async function defaultNicOf(db: Db, vm: VmId): Promise<NicId> {
  const nics = db.selectFrom('nic').select('id').where('vm_id', '=', vm)
  return (await nics.where('is_default', '=', true).executeTakeFirstOrThrow()).id
}

export async function setDefaultNic(tx: Tx, { id, vm_id }: Pick<Row<'nic'>, 'id' | 'vm_id'>): Promise<void> {
  await tx
    .updateTable('nic')
    .set({ is_default: sql<boolean>`id = ${id}` })
    .where('vm_id', '=', vm_id)
    .execute()
}

export async function forgetNic(tx: Tx, id: NicId): Promise<void> {
  await tx.deleteFrom('nic').where('id', '=', id).execute()
}

/** A random address of the locally administered unicast range, with the prefix that KVM guests customarily have. */
function newMac(): string {
  return ['52', '54', '00', ...(randomBytes(3).toString('hex').match(/../g) ?? [])].join(':')
}

/** To a place that is free. */
export async function moveNic(tx: Tx, id: NicId, place: number): Promise<void> {
  await tx.updateTable('nic').set({ device_id: place }).where('id', '=', id).execute()
}
