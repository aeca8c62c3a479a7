// What the server asks of a hypervisor that keeps its own disk chains (docs/decisions/0022): the four moves on nodes, in ids of ours.
// A node is what machines are made of: a template, a VM snapshot, or the seed of one. The driver keeps our ids beside what they name,
// so that a repeat finds what an earlier try made. As everywhere in the contract: same arguments, same end state.
import type { ForkId, LayerId, TemplateId, VmId, VmSnapshotId } from '@ramet/core/ids.ts'
import type {
  FirstBoot,
  HostFacts,
  HostRef,
  IsoRef,
  MachineFacts,
  PoolRef,
  Power,
  Progress,
  Quiesced,
  Space,
} from './driver.ts'
import type { ForestDevices } from './forest-devices.ts'

export type TemplateNode = { readonly kind: 'template'; readonly id: TemplateId }
export type SnapshotNode = { readonly kind: 'vm-snapshot'; readonly id: VmSnapshotId; readonly vm: VmId }
/** A flat copy of a VM snapshot's root disk, which nobody runs; it has the id of its record, a layer. */
export type SeedNode = { readonly kind: 'seed'; readonly id: LayerId }
/** A machine as it is when it is copied: for full clones, and while it runs for instant ones. */
export type MachineNode = { readonly kind: 'vm'; readonly id: VmId }
/** A machine at the instant at which the first linked clone is made of the fork; it is no VM snapshot, and goes by `tidy`. */
export type ForkNode = { readonly kind: 'fork'; readonly id: ForkId; readonly vm: VmId }
export type NodeRef = TemplateNode | SnapshotNode | SeedNode

/** A disk of a machine or of a node, as it is. */
export interface DiskFacts {
  /** The hypervisor's name for it, which stays while the machine has the disk. */
  readonly key: string
  /** 0 is the root disk. */
  readonly deviceId: number
  readonly virtualBytes: number
  /** What the machine's own files of it occupy. */
  readonly allocatedBytes: number
  /** How many files a read may pass; 1 stands on nothing. */
  readonly depth: number
  /** Names of its files as the hypervisor tells them, the one that is written last. */
  readonly files: readonly string[]
}

export interface NodeFacts {
  readonly disks: readonly DiskFacts[]
  /** Does a machine that goes back to it, or is made of it, go on from a saved memory? */
  readonly withMemory: boolean
  readonly cpus: number
  readonly memoryMib: number
}

/** A VM snapshot of a machine, also one that somebody else took. */
export interface SnapshotFacts {
  /** Ours; null for somebody else's. */
  readonly id: VmSnapshotId | null
  /** The hypervisor's name for it. */
  readonly key: string
  readonly name: string
  /** The key of the one that it hangs on. */
  readonly parent: string | null
  /** Does the machine's state stand on it? */
  readonly isCurrent: boolean
  readonly withMemory: boolean
  readonly createdAt: string
}

/** A network card in a network that the hypervisor has, under the name that it has there. */
export interface Plug {
  readonly deviceId: number
  readonly mac: string
  readonly network: string
}

/** What a machine shall be. Its disks are its own affair: it has those of the node that it was made of. */
export interface ForestMachine {
  readonly vm: VmId
  readonly host: HostRef
  /** As vCenter shows it; no other machine there has it. */
  readonly name: string
  readonly cpus: number
  readonly memoryMib: number
  readonly plugs: readonly Plug[]
  readonly cdrom: IsoRef | null
  readonly firstBoot: FirstBoot
}

/** What the hypervisor itself does to the guest at its first start. */
export interface Customize {
  readonly os: 'linux' | 'windows'
  /** Of the administrator, where the guest takes no hash of it; null: as the image has it. Told to nobody else. */
  readonly password: string | null
}

export interface Spawn {
  readonly machine: ForestMachine
  /** A machine for full clones only, a fork for linked ones only. */
  readonly from: NodeRef | MachineNode | ForkNode
  readonly pool: PoolRef
  /** A full clone shares no file with the node; a linked one stands on its disks. */
  readonly cloneType: 'full' | 'linked'
  /** Of the root disk; null: as the node's. It can only be larger. */
  readonly rootBytes: number | null
  /** Places of the node's disks that it shall have; the others are left out. */
  readonly disks: readonly number[]
  /** Absent or null: nothing, but to tell it what its first boot asks for. */
  readonly customize?: Customize | null
}

export interface SpawnFacts {
  readonly disks: readonly DiskFacts[]
}

/** What a machine that runs becomes twice: the clone runs too, and stands on the source's disks and memory. */
export type InstantSpawn = Omit<Spawn, 'from' | 'cloneType' | 'rootBytes' | 'disks' | 'customize'> & {
  readonly from: MachineNode
}

export interface InstantFacts extends SpawnFacts, MachineFacts {
  /** Did the source stand still, frozen from inside its guest? Then the clone put no file on its disks. */
  readonly isOfFrozen: boolean
  /** What of the clone's identity nobody looked at, for people. */
  readonly unconfirmed: readonly string[]
}

export interface ShortenFacts extends SpawnFacts {
  /** Null: there was nothing to be done. */
  readonly way: 'merge' | 'promote' | null
}

export interface ForkWish {
  /** For people; the id is what counts. */
  readonly name: string
  readonly memory: boolean
  readonly quiesce: boolean
}

/** How a long act is followed, and stopped. */
export interface Following {
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** One task of the hypervisor's own, for the event log. */
export interface ForeignTask {
  /** Such as task-117. */
  readonly id: string
  /** What is done, in the hypervisor's words: CloneVM_Task. */
  readonly name: string
  /** Whose; null: no machine's of ours. */
  readonly vm: VmId | null
  /** Null while it runs; at its end 'success', or why not. */
  readonly outcome: string | null
}

export interface ForeignHost {
  /** Unique in the cluster; `HostRef.name` is this. */
  readonly name: string
  readonly state: 'Up' | 'Disconnected' | 'Maintenance'
  readonly facts: HostFacts
}

export interface ForeignPool extends Space {
  /** Unique in the cluster; `PoolRef.path` is this. */
  readonly path: string
  readonly name: string
  /** As the hypervisor calls it: VMFS, NFS, vsan. */
  readonly type: string
  /** Why it cannot be used now; null: it can. */
  readonly problem: string | null
}

/** A machine or template that is there, whoever made it; seeds of ours are not told of. */
export interface ForeignMachine {
  /** What `adopt` takes: the name in the hypervisor's own words, stable while the machine is there. */
  readonly foreign: string
  /** For people, with its folder: /DC0/vm/templates/debian-12. */
  readonly path: string
  readonly isTemplate: boolean
  readonly power: Power
  readonly host: string | null
  /** Ours, where it is. */
  readonly vm: VmId | null
  readonly guestOs: string | null
  /** VM snapshots of ours, and the names of those that somebody else took. */
  readonly snapshots: readonly VmSnapshotId[]
  readonly foreignSnapshots: readonly string[]
}

/** The part of the hypervisor that is one cluster of ours. */
export interface ForeignInventory {
  readonly hosts: readonly ForeignHost[]
  readonly pools: readonly ForeignPool[]
  /** Names of networks that cards can be plugged into. */
  readonly networks: readonly string[]
  readonly machines: readonly ForeignMachine[]
}

export interface Forest {
  /** All there is, as far as the driver has been told; asks nobody. */
  inventory(): Promise<ForeignInventory>
  /**
   * The machine or template of the inventory, by its `foreign` name or its path, becomes a node that machines are made of: it is a
   * template from then on. One that runs is refused ('refused', machine-running); one that is not there 'invalid', unknown-foreign.
   */
  adopt(template: TemplateNode, foreign: string, following: Following): Promise<NodeFacts>
  /** It stays in the inventory, and is no node of ours any more. */
  disown(template: TemplateNode): Promise<void>
  /** A VM snapshot: all disks at one instant, the memory if asked. Where a repeat finds it, it is the answer. */
  fork(
    snapshot: SnapshotNode,
    wish: ForkWish,
    following: Following,
  ): Promise<NodeFacts & { readonly quiesced: Quiesced | null }>
  /** A machine that is off. Where a repeat finds it, it is the answer; what failed in the middle is gone by `machines.discard`. */
  spawn(wanted: Spawn, following: Following): Promise<SpawnFacts>
  /** Gives a machine that is off the size, cards and CD that are described, and lets it run. One that runs is left alone. */
  start(machine: ForestMachine, signal: AbortSignal): Promise<MachineFacts>
  /** A running copy of a running machine; 'unsupported' where the hypervisor makes none. */
  instant(wanted: InstantSpawn, following: Following): Promise<InstantFacts>
  /**
   * Files that instant clones had the machine leave behind go: merged where nobody stands on them, else what they show is copied. What
   * others read stays. `operation` names the act.
   */
  shorten(vm: VmId, operation: string, following: Following): Promise<ShortenFacts>
  /** Forks of the machine that nothing stands on any more go. Answers how many went. */
  tidy(vm: VmId, following: Following): Promise<number>
  /**
   * Back to the snapshot: off, or running where that has memory and `run` is asked. `operation` names the act: what was done under
   * that name is not done again, for the guest may have written since.
   */
  revert(snapshot: SnapshotNode, run: boolean, operation: string, following: Following): Promise<MachineFacts>
  /** The snapshot goes, and what hangs on it hangs on its parent; the machine's disks stay as they are. */
  prune(snapshot: SnapshotNode, following: Following): Promise<void>
  /** A flat copy of the root disk of a VM snapshot, on the same pool, that linked clones are made of. */
  seed(seed: SeedNode, of: SnapshotNode, host: HostRef, following: Following): Promise<NodeFacts>
  /** The seed goes; 'in-use' (seed-in-use) while something stands on it. */
  unseed(seed: SeedNode): Promise<void>
  /** Gives the machine disks that stand on nothing of others. */
  flatten(vm: VmId, following: Following): Promise<SpawnFacts>
  /** Its cards and data disks. */
  readonly devices: ForestDevices
  /** The disks of a machine; null where there is no such machine. */
  disks(vm: VmId): Promise<readonly DiskFacts[] | null>
  /** The snapshots of a machine, parents before children; null where there is no such machine. */
  snapshots(vm: VmId): Promise<readonly SnapshotFacts[] | null>
  /** Calls `listener` within a second of a change of what `inventory` tells. Returns how to stop listening. */
  onInventoryChange(listener: () => void): () => void
  /** Calls `listener` at the start and at the end of each task of the hypervisor's own. Returns how to stop listening. */
  onTask(listener: (task: ForeignTask) => void): () => void
}
