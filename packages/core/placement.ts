// Where a machine goes: a pure choice over what the hosts and pools have left.
import type { Hypervisor } from './clone-type.ts'
import type { ClusterId, HostId, Id, StoragePoolId, ZoneId } from './ids.ts'

export const affinityTypes = ['host affinity', 'host anti-affinity'] as const
export type AffinityType = (typeof affinityTypes)[number]

/** A group that the machine is in, and the hosts that its other members occupy. */
export interface Affinity {
  readonly name: string
  readonly type: AffinityType
  readonly hosts: readonly HostId[]
}

export interface HostRoom {
  readonly id: HostId
  readonly name: string
  readonly zone: ZoneId
  readonly cluster: ClusterId
  readonly pod: Id<'pod'>
  readonly up: boolean
  /** Its pod and its cluster are Enabled. */
  readonly isOpen: boolean
  /** How many more may run here; null: as many as there is room for. */
  readonly machinesFree: number | null
  readonly cpuFree: number
  readonly memoryFreeMib: number
  readonly pools: readonly StoragePoolId[]
}

export interface PoolRoom {
  readonly id: StoragePoolId
  readonly name: string
  readonly takesNewDisks: boolean
  /** Machines whose disks are there may start. */
  readonly servesDisks: boolean
  readonly tags: readonly string[]
  readonly freeBytes: number
}

export interface Demand {
  readonly cpus: number
  readonly memoryMib: number
  /** Bytes that the new disks take at once, by pool: where clones are full, or the template is not there yet, more. */
  readonly diskBytes: ReadonlyMap<StoragePoolId, number>
  readonly zone: ZoneId
  /** What runs machines on the hosts that are looked at; absent: anything. */
  readonly hypervisor?: Hypervisor | undefined
  /** All of these are asked of the pool, by the offerings. */
  readonly tags?: readonly string[] | undefined
  readonly host?: HostId | undefined
  /** Not this one: the machine leaves it. */
  readonly except?: HostId | undefined
  readonly cluster?: ClusterId | undefined
  readonly pod?: Id<'pod'> | undefined
  readonly affinities?: readonly Affinity[]
  readonly pool?: StoragePoolId | undefined
}

export type Placement = { readonly host: HostRoom; readonly pool: PoolRoom } | { readonly refusal: string }

/** The host with the most free memory that fits, and its pool with the most free space; or why nothing fits. */
export function place(hosts: readonly HostRoom[], pools: readonly PoolRoom[], demand: Demand): Placement {
  const refusals: string[] = []
  const byMemory = hosts.filter(host => host.zone === demand.zone).sort((a, b) => b.memoryFreeMib - a.memoryFreeMib)
  for (const host of byMemory) {
    const refusal = hostRefusal(host, demand)
    if (refusal) refusals.push(refusal)
    else {
      const pool = roomiestPool(host, pools, demand)
      if (pool) return { host, pool }
      refusals.push(`${host.name} reaches no storage pool that is Up${tagsAsked(demand)}${roomAsked(demand)}`)
    }
  }
  return { refusal: refusals.length > 0 ? refusals.join('; ') : 'its zone has no host' }
}

function hostRefusal(host: HostRoom, demand: Demand): string | null {
  if (demand.host && host.id !== demand.host) return `${host.name} is not the host asked for`
  if (host.id === demand.except) return `${host.name} is the host that it is to leave`
  if (demand.cluster && host.cluster !== demand.cluster) return `${host.name} is not in the cluster asked for`
  if (demand.pod && host.pod !== demand.pod) return `${host.name} is not in the pod asked for`
  if (!host.up) return `${host.name} is not Up and Enabled`
  if (!host.isOpen) return `the cluster or pod of ${host.name} is Disabled`
  if (demand.cpus > 0 && host.machinesFree !== null && host.machinesFree < 1)
    return `${host.name} runs as many machines as its hypervisor is let (listHypervisorCapabilities)`
  if (host.cpuFree < demand.cpus) return `${host.name} has ${host.cpuFree} of ${demand.cpus} vCPUs free`
  if (host.memoryFreeMib < demand.memoryMib)
    return `${host.name} has ${host.memoryFreeMib} of ${demand.memoryMib} MiB memory free`
  return demand.affinities?.map(each => affinityRefusal(host, each)).find(reason => reason !== null) ?? null
}

/** The first machine of a group may go anywhere; what it chooses binds the others. */
function affinityRefusal(host: HostRoom, { name, type, hosts }: Affinity): string | null {
  const isThere = hosts.includes(host.id)
  if (type === 'host anti-affinity')
    return isThere ? `${host.name} has a machine of the anti-affinity group ${name} already` : null
  return isThere || hosts.length === 0 ? null : `${host.name} has no machine of the affinity group ${name}`
}

function roomiestPool(host: HostRoom, pools: readonly PoolRoom[], demand: Demand): PoolRoom | undefined {
  return pools
    .filter(pool => host.pools.includes(pool.id) && (!demand.pool || pool.id === demand.pool))
    .filter(pool => serves(pool, demand))
    .sort((a, b) => b.freeBytes - a.freeBytes)[0]
}

/** A machine whose disks are there already asks nothing of a pool but to be there, however full it is. */
function serves(pool: PoolRoom, { diskBytes, tags = [] }: Demand): boolean {
  const bytes = diskBytes.get(pool.id)
  if (bytes === undefined) return pool.servesDisks
  return pool.takesNewDisks && pool.freeBytes >= bytes && tags.every(tag => pool.tags.includes(tag))
}

function tagsAsked({ tags = [] }: Demand): string {
  return tags.length === 0 ? '' : `, has the tags ${tags.join(', ')}`
}

function mib(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20)
}

function roomAsked({ diskBytes }: Demand): string {
  return diskBytes.size === 0 ? '' : ` and has ${mib(Math.min(...diskBytes.values()))} MiB free`
}
