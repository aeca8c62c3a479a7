// Which primary storages a machine's disks may be on: those that a host reaches which reaches all its other disks too.
import type { StoragePoolId, VolumeId } from '@ramet/core/ids.ts'
import type { PoolRoom } from '@ramet/core/placement.ts'
import { Problem } from '@ramet/core/problem.ts'
import { type Factors, holdCapacity, hostRooms, poolRooms } from './capacity.ts'
import type { Tx } from './database.ts'
import type { Row } from './tables.ts'
import type { Vm } from './vms.ts'
import { volumesOf } from './volumes.ts'

/** Pools that a disk of `vm` can be on, the volume `except` itself not counting. */
export async function poolsInReach(tx: Tx, factors: Factors, vm: Vm, except: VolumeId): Promise<Set<StoragePoolId>> {
  const others = (await volumesOf(tx, vm.id)).filter(({ id }) => id !== except)
  const used = others.flatMap(({ pool_id }) => pool_id ?? [])
  const hosts = (await hostRooms(tx, factors, vm)).filter(({ pools }) => used.every(pool => pools.includes(pool)))
  const running = vm.host_id ? hosts.filter(({ id }) => id === vm.host_id) : hosts
  return new Set(running.flatMap(({ pools }) => pools))
}

/** The roomiest pool for a new disk of `vm`; the capacity stays held until the transaction ends. */
export async function choosePool(
  tx: Tx,
  factors: Factors,
  vm: Vm,
  volume: Row<'volume'>,
  bytes: number,
): Promise<StoragePoolId> {
  await holdCapacity(tx)
  const reached = await poolsInReach(tx, factors, vm, volume.id)
  const who = `host of virtual machine ${vm.name}`
  return roomiest(tx, factors, volume, bytes, { reached, who, otherwise: outOfReach(volume.name, vm.name) })
}

/** The same for a volume that is attached to nothing: a pool that some host of its zone reaches. */
export async function choosePoolInZone(
  tx: Tx,
  factors: Factors,
  volume: Row<'volume'>,
  bytes: number,
): Promise<StoragePoolId> {
  await holdCapacity(tx)
  const hosts = (await hostRooms(tx, factors, 'layers')).filter(({ zone }) => zone === volume.zone_id)
  const reached = new Set(hosts.flatMap(({ pools }) => pools))
  const otherwise = new Problem(
    'refused',
    'pool-out-of-reach',
    `No host of the zone reaches the storage pool asked for volume ${volume.name}; name another, or none`,
  )
  return roomiest(tx, factors, volume, bytes, { reached, who: 'host of the zone', otherwise })
}

interface Reach {
  readonly reached: ReadonlySet<StoragePoolId>
  readonly who: string
  /** Why the pool that was asked for cannot be had. */
  readonly otherwise: Problem
}

async function roomiest(
  tx: Tx,
  factors: Factors,
  volume: Row<'volume'>,
  bytes: number,
  { reached, who, otherwise }: Reach,
): Promise<StoragePoolId> {
  const tags = await tagsAsked(tx, volume)
  const pools = (await poolRooms(tx, factors)).filter(
    pool => pool.takesNewDisks && reached.has(pool.id) && tags.every(tag => pool.tags.includes(tag)),
  )
  if (pools.length === 0) {
    const tagged = tags.length > 0 ? ` and has the tags ${tags.join(', ')}` : ''
    throw new Problem('no-capacity', 'no-capacity', `No ${who} reaches a storage pool that is Up${tagged}`)
  }
  const asked = volume.pool_id ? pools.filter(({ id }) => id === volume.pool_id) : pools
  if (asked.length === 0) throw otherwise
  const large = await largeEnough(tx, asked, volume.size_bytes)
  const [first] = large.filter(({ freeBytes }) => freeBytes >= bytes).sort((a, b) => b.freeBytes - a.freeBytes)
  if (!first) throw noRoom(large.map(({ name }) => name).join(', '), bytes)
  return first.id
}

/** Throws unless the pool has room for `bytes`; the capacity stays held until the transaction ends. */
export async function holdRoomOn(tx: Tx, factors: Factors, pool: StoragePoolId, bytes: number): Promise<void> {
  await holdCapacity(tx)
  const room = (await poolRooms(tx, factors)).find(({ id }) => id === pool)
  if (!room || room.freeBytes < bytes) throw noRoom(room?.name ?? pool, bytes)
}

/** What the volume's disk offering asks of its storage pool. */
export async function tagsAsked(tx: Tx, { disk_offering_id }: Row<'volume'>): Promise<readonly string[]> {
  if (!disk_offering_id) return []
  const offering = await tx
    .selectFrom('disk_offering')
    .select('storage_tags')
    .where('id', '=', disk_offering_id)
    .executeTakeFirstOrThrow()
  return offering.storage_tags
}

/** Refuses a size that no pool of `pools` could ever hold; returns those that could. */
async function largeEnough(tx: Tx, pools: readonly PoolRoom[], bytes: number): Promise<PoolRoom[]> {
  const totals = await tx
    .selectFrom('storage_pool')
    .select(['id', 'name', 'total_bytes'])
    .where(
      'id',
      'in',
      pools.map(({ id }) => id),
    )
    .execute()
  const large = totals.filter(({ total_bytes }) => total_bytes >= bytes)
  if (large.length === 0) throw tooLarge(bytes, Math.max(0, ...totals.map(({ total_bytes }) => total_bytes)))
  return pools.filter(({ id }) => large.some(each => each.id === id))
}

/** Refuses a disk larger than the largest pool of the zone, or than the pool named. */
export async function demandSizeFits(
  tx: Tx,
  place: { readonly zone: Row<'zone'>['id'] } | { readonly pool: StoragePoolId },
  bytes: number,
): Promise<void> {
  let pools = tx
    .selectFrom('storage_pool')
    .innerJoin('cluster', 'cluster.id', 'storage_pool.cluster_id')
    .innerJoin('pod', 'pod.id', 'cluster.pod_id')
    .select(eb => eb.fn.max('storage_pool.total_bytes').as('largest'))
  pools =
    'pool' in place ? pools.where('storage_pool.id', '=', place.pool) : pools.where('pod.zone_id', '=', place.zone)
  const largest = (await pools.executeTakeFirst())?.largest ?? 0
  if (bytes > largest) throw tooLarge(bytes, largest)
}

export function outOfReach(volume: string, vm: string): Problem {
  return new Problem(
    'refused',
    'pool-out-of-reach',
    `No host of virtual machine ${vm} reaches the storage pool of volume ${volume}; migrateVolume moves it to one that they reach`,
  )
}

function noRoom(pools: string, bytes: number): Problem {
  const text = `Storage pool ${pools} has no room for ${Math.ceil(bytes / 2 ** 20)} MiB; free space, or choose another`
  return new Problem('no-capacity', 'no-capacity', text)
}

function tooLarge(bytes: number, largest: number): Problem {
  const gib = (each: number) => `${(each / 2 ** 30).toFixed(1)} GiB`
  const text = `A disk of ${gib(bytes)} is larger than the largest storage pool for it, which has ${gib(largest)}`
  return new Problem('no-capacity', 'volume-larger-than-pool', text)
}
