// What the simulated hypervisor holds: layers and machines, and how it behaves. It outlives the driver that works on it, as real
// disks and processes outlive a server: in a test because the test keeps it, in a simulated cloud because every change is
// told to `note`, and read again at the next start (journal.ts).
import type {
  HostId,
  LayerId,
  MemoryImageId,
  NetworkId,
  NicId,
  StoragePoolId,
  TemplateId,
  VmId,
} from '@ramet/core/ids.ts'
import type { HostRef, MachineFacts, MachineSpec, Power, PowerChange, Quiesced } from '../driver.ts'
import type { Forward, NetworkSpec } from '../networks.ts'
import type { Kept } from './kept.ts'
import { type Behaviour, calm } from './behaviour.ts'

export interface SimulatedLayer {
  readonly id: LayerId
  readonly pool: StoragePoolId
  readonly base: LayerId | null
  readonly virtualBytes: number
  readonly allocatedBytes: number
  /** What was written here, by block; other blocks show the base's. */
  readonly blocks?: Blocks
}

export type Blocks = Readonly<Record<number, string>>

export interface SimulatedMemory {
  readonly id: MemoryImageId
  readonly pool: StoragePoolId
  readonly memoryMib: number
  readonly cpus: number
  /** Places of the disks that it was made with. */
  readonly disks: readonly number[]
  readonly content: string
  /** Whose memory holds it; absent where the pool does. */
  readonly host?: HostId
}

export interface SimulatedMachine {
  readonly vm: VmId
  readonly host: HostId
  readonly power: Power
  readonly sshPorts: Readonly<Record<NicId, number>>
  /** The layer that it writes at each place. */
  readonly disks: Readonly<Record<number, LayerId>>
  /** The card at each place. */
  readonly nics?: Readonly<Record<number, NicId>>
  readonly memoryMib?: number
  readonly cpus?: number
  /** What its guest has in mind; lost when it goes off. */
  readonly memory?: string
  /** Places of cards of the machine that it is a clone of. */
  readonly inherited?: readonly number[]
  /** Who its guest was made by `customize`. */
  readonly guest?: { readonly instanceId: string; readonly hostname: string }
  /** In its CD-ROM drive. */
  readonly cd: TemplateId | null
}

export interface SimulatedNetwork {
  readonly spec: NetworkSpec
  readonly cards: readonly {
    readonly vm: VmId
    readonly nic: NicId
    readonly address: string
    readonly mac: string
    readonly isDefault?: boolean
  }[]
}

/** What happened to the world; replayed in order, changes make it anew. */
export type WorldChange =
  | { readonly layer: SimulatedLayer }
  | { readonly layerGone: LayerId }
  | { readonly memory: SimulatedMemory }
  | { readonly memoryGone: MemoryImageId }
  | { readonly machine: SimulatedMachine }
  | { readonly machineGone: VmId }
  | { readonly network: SimulatedNetwork }
  | { readonly networkGone: NetworkId }
  | { readonly forward: Forward }
  | { readonly forwardGone: Pick<Forward, 'address' | 'port'> }
  | { readonly kept: Kept }
  | { readonly keptGone: string }
  | { readonly failed: FailedOnOrder }

/** Which of the failures that `order` asks for have happened. */
export interface FailedOnOrder {
  readonly order: string
  readonly calls: readonly string[]
}

export interface World {
  readonly layers: Map<LayerId, SimulatedLayer>
  readonly memory: Map<MemoryImageId, SimulatedMemory>
  /** Why images do not fit this hypervisor, where they do not. */
  readonly misfits: Map<MemoryImageId, string>
  /** What comes of bringing a guest's file systems to rest. */
  quiesced: Quiesced
  /** Places of cards that guests of clones never let go of. */
  heldNics: readonly number[]
  /** What cannot be confirmed when a guest is customized. */
  identityProblems: readonly string[]
  readonly machines: Map<VmId, SimulatedMachine>
  readonly networks: Map<NetworkId, SimulatedNetwork>
  /** By address and port of the host. */
  readonly forwards: Map<string, Forward>
  /** What simulated vCenters hold, by the names that they have for it. */
  readonly kept: Map<string, Kept>
  /** Called when the world behaves in another way, or what a vCenter holds has changed. */
  readonly watchers: Set<() => void>
  /** How many layers stand on each. */
  readonly children: Map<LayerId, number>
  readonly usedBytes: Map<StoragePoolId, number>
  /** Folders of pools that are not there, as when a file system is not mounted. */
  readonly missingPools: Set<string>
  /** What each host is called, as far as anybody spoke of it. */
  readonly hostNames: Map<HostId, string>
  readonly listeners: Set<(change: PowerChange) => void>
  /** How long a call takes, in ms, by its name such as `machines.start`; where nothing is said, `behaviour` says it. */
  readonly delays: Map<string, number>
  /** The next so many calls of this name fail. */
  readonly faults: Map<string, number>
  /** The latest calls, in order. */
  readonly calls: string[]
  /** Processes that wait for clones, by the clone's id; they end with the server. */
  readonly waiting: Map<VmId, MachineSpec>
  /** Machines that something waited for. */
  readonly warm: Set<VmId>
  /** The latest descriptions of machines that were started, in order. */
  readonly starts: MachineSpec[]
  /** Failures on order that have happened: a restart does not repeat them. */
  failed: FailedOnOrder
  behaviour: Behaviour
  /** What each host has. */
  hostMemoryMib: number
  /** What machines hold of their memory; where nothing is said, all of it. */
  readonly heldMib: Map<VmId, number>
  note: (change: WorldChange) => void
}

export function newWorld(): World {
  return {
    layers: new Map(),
    memory: new Map(),
    misfits: new Map(),
    quiesced: 'quiesced',
    heldNics: [],
    identityProblems: [],
    machines: new Map(),
    networks: new Map(),
    forwards: new Map(),
    kept: new Map(),
    watchers: new Set(),
    children: new Map(),
    usedBytes: new Map(),
    missingPools: new Set(),
    hostNames: new Map(),
    listeners: new Set(),
    delays: new Map(),
    faults: new Map(),
    calls: [],
    waiting: new Map(),
    warm: new Set(),
    starts: [],
    failed: { order: '', calls: [] },
    behaviour: calm,
    hostMemoryMib: 2 ** 20,
    heldMib: new Map(),
    note: () => {},
  }
}

/** Makes a change and tells it to whoever keeps the world. */
export function change(world: World, what: WorldChange): void {
  replay(world, what)
  world.note(what)
  if ('kept' in what || 'keptGone' in what) for (const each of world.watchers) each()
}

export function replay(world: World, what: WorldChange): void {
  if ('layer' in what) {
    forgetLayer(world, what.layer.id)
    rememberLayer(world, what.layer)
  } else if ('layerGone' in what) forgetLayer(world, what.layerGone)
  else if ('memory' in what) {
    forgetMemory(world, what.memory.id)
    world.memory.set(what.memory.id, what.memory)
    count(world.usedBytes, what.memory.pool, bytesOnPool(what.memory))
  } else if ('memoryGone' in what) forgetMemory(world, what.memoryGone)
  else if ('machine' in what) world.machines.set(what.machine.vm, what.machine)
  else if ('machineGone' in what) world.machines.delete(what.machineGone)
  else if ('network' in what) world.networks.set(what.network.spec.id, what.network)
  else if ('networkGone' in what) world.networks.delete(what.networkGone)
  else if ('forward' in what) world.forwards.set(forwardKey(what.forward), what.forward)
  else if ('forwardGone' in what) world.forwards.delete(forwardKey(what.forwardGone))
  else if ('kept' in what) world.kept.set(what.kept.foreign, what.kept)
  else if ('keptGone' in what) world.kept.delete(what.keptGone)
  else world.failed = what.failed
}

export function forwardKey({ address, port }: Pick<Forward, 'address' | 'port'>): string {
  return `${address}:${port}`
}

function rememberLayer(world: World, layer: SimulatedLayer): void {
  world.layers.set(layer.id, layer)
  count(world.usedBytes, layer.pool, layer.allocatedBytes)
  if (layer.base) count(world.children, layer.base, 1)
}

function forgetLayer(world: World, id: LayerId): void {
  const layer = world.layers.get(id)
  if (!layer) return
  world.layers.delete(id)
  count(world.usedBytes, layer.pool, -layer.allocatedBytes)
  if (layer.base) count(world.children, layer.base, -1)
}

function forgetMemory(world: World, id: MemoryImageId): void {
  const image = world.memory.get(id)
  if (!image) return
  world.memory.delete(id)
  count(world.usedBytes, image.pool, -bytesOnPool(image))
}

function bytesOnPool({ memoryMib, host }: SimulatedMemory): number {
  return host ? 0 : memoryMib * 2 ** 20
}

function count<K>(counts: Map<K, number>, key: K, by: number): void {
  const sum = (counts.get(key) ?? 0) + by
  if (sum === 0) counts.delete(key)
  else counts.set(key, sum)
}

export function runningIn(world: World, vm: VmId): SimulatedMachine | undefined {
  const machine = world.machines.get(vm)
  return machine?.power === 'on' ? machine : undefined
}

/** Switches a machine as a guest or a stranger would, and tells the server. */
export function switchPower(world: World, vm: VmId, power: Power, reason: string): void {
  const machine = world.machines.get(vm)
  if (!machine || machine.power === power) return
  change(world, { machine: { ...machine, power } })
  for (const listener of world.listeners) listener({ vm, power, reason })
}

export function isDown(world: World, { id, name }: HostRef): boolean {
  world.hostNames.set(id, name)
  return world.behaviour.hostsDown.includes(name)
}

/** From here on the world behaves so. A host that goes down takes its machines with it, and what its memory held, as a power cut would. */
export function behave(world: World, behaviour: Behaviour): void {
  world.behaviour = behaviour
  const downName = (host: HostId | undefined) => {
    const name = host && world.hostNames.get(host)
    return name && behaviour.hostsDown.includes(name) ? name : null
  }
  for (const { vm, host } of world.machines.values()) {
    const name = downName(host)
    if (name) switchPower(world, vm, 'off', `its host ${name} went down`)
  }
  for (const { id, host } of [...world.memory.values()]) if (downName(host)) change(world, { memoryGone: id })
  for (const kept of world.kept.values()) {
    const name = downName(kept.host ?? undefined)
    if (name) switchAside(world, kept, 'off', `its host ${name} went down`)
  }
  for (const listener of world.watchers) listener()
}

export function switchKept(world: World, kept: Kept | undefined, power: Power): void {
  if (kept && kept.power !== power) change(world, { kept: { ...kept, power, memory: '' } })
}

/** Switches it as a guest or somebody else would, and tells the server. */
export function switchAside(world: World, kept: Kept, power: Power, reason: string): void {
  if (kept.power === power) return
  switchKept(world, kept, power)
  if (kept.as && 'vm' in kept.as) for (const listener of world.listeners) listener({ vm: kept.as.vm, power, reason })
}

export function factsOf(world: World, vm: VmId): MachineFacts {
  const machine = world.machines.get(vm)
  if (machine?.power !== 'on') return { vm, power: 'off', host: null, sshPorts: {} }
  return { vm, power: 'on', host: machine.host, sshPorts: machine.sshPorts }
}
