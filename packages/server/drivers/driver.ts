// Everything the server asks of a hypervisor, in the server's words. Formats, processes and protocols stay inside a
// driver; differences are capabilities, and nobody outside branches on the kind.
// Every call may be repeated: same arguments, same end state. A call that makes something accepts that it is there
// already, whole or half; a call that removes something accepts that it never was.
import type { Hypervisor } from '@ramet/core/clone-type.ts'
import type {
  HostId,
  LayerId,
  MemoryImageId,
  NicId,
  StoragePoolId,
  TemplateId,
  VmId,
  VmSnapshotId,
} from '@ramet/core/ids.ts'
import type { Forest } from './forest.ts'
import type { Networks, NetworkSpec } from './networks.ts'
import type { Warm } from './warm.ts'

/** A host that machines run on, as the server names it. */
export interface HostRef {
  readonly id: HostId
  readonly name: string
}

export interface PoolRef {
  readonly id: StoragePoolId
  /** Absolute folder of the pool on the host. */
  readonly path: string
}

export interface LayerRef {
  readonly pool: PoolRef
  readonly id: LayerId
}

/** A layer with everything it stands on, base first, the layer itself last. */
export type LayerChain = readonly [LayerRef, ...LayerRef[]]

export interface LayerFacts {
  /** What a guest sees. */
  readonly virtualBytes: number
  /** What the file occupies. */
  readonly allocatedBytes: number
}

/**
 * The memory of a machine and the state of its devices at one instant. Nobody writes it once it is made. It lies on the pool; or, made
 * for clones, in the memory of its host, where it is at once, and gone when the host restarts.
 */
export interface MemoryImageRef {
  readonly pool: PoolRef
  readonly id: MemoryImageId
}

export interface MemoryImageFacts {
  /** What the guest has. */
  readonly memoryBytes: number
  /** What the files occupy. */
  readonly allocatedBytes: number
  /** What it was made with, and goes on with. */
  readonly hypervisorVersion: string
  readonly machineType: string
  readonly cpuModel: string
  /** Only machines on the host that made it go on from it, until that host restarts. */
  readonly inHostMemory: boolean
}

/** Who a machine's process and files belong to: one unprivileged user per account, where the server may choose. */
export interface Owner {
  readonly accountNumber: number
}

export interface DiskSpec {
  /** 0 is the root disk. */
  readonly deviceId: number
  readonly chain: LayerChain
  /** What the guest may know the disk by, wherever it is plugged in; hypervisors show 20 characters of it. */
  readonly serial?: string
}

/** A CD image on secondary storage, which nobody writes. */
export interface IsoRef {
  readonly id: TemplateId
  /** Absolute. */
  readonly file: string
}

interface NicBase {
  readonly id: NicId
  readonly deviceId: number
  readonly mac: string
  /** Port of 127.0.0.1 to forward SSH from, when one was used before; another is taken if it is busy. */
  readonly sshPort: number | null
  /**
   * Inherited from the machine that this one goes on as a copy of: the guest finds the card, but its link is down and no frame leaves
   * it, since another machine has its address. Nothing is kept for it in its network.
   */
  readonly silent?: boolean
}

/** A network of its own inside the machine's process, with SSH forwarded from a port of 127.0.0.1. */
export interface NatNicSpec extends NicBase {
  readonly kind: 'user-nat'
  /** May the guest open connections outwards? They would be the host's own, and so reach the host's own services. */
  readonly outward: boolean
  /** What the guest is told when it asks for an address; absent: what the hypervisor tells everybody. */
  readonly plan?: { readonly address: string; readonly cidr: string; readonly gateway: string }
}

/** A card in a guest network, which is made at the machine's start where it is not there yet. */
export interface NetworkNicSpec extends NicBase {
  readonly kind: 'network'
  readonly network: NetworkSpec
  /** DHCP gives it this one, and the guest sends from no other. */
  readonly address: string
  readonly forwardSsh: boolean
  /** Of its machine's cards the default one: DHCP tells it a router and name servers, and others neither. */
  readonly isDefault: boolean
  /** Mbit/s, either way; absent: as fast as it goes. */
  readonly mbps?: number
}

export type NicSpec = NatNicSpec | NetworkNicSpec

/** What the guest is told at first boot, by cloud-init's NoCloud. */
export interface FirstBoot {
  /** Changes when the guest shall customise itself anew. */
  readonly instanceId: string
  readonly hostname: string
  readonly sshKeys: readonly string[]
  /** crypt(3) hash of the administrator's password. */
  readonly passwordHash: string | null
  readonly userData: Uint8Array | null
}

export interface MachineSpec {
  readonly vm: VmId
  /** Where it shall run. */
  readonly host: HostRef
  /** Shown by the host's process list. */
  readonly name: string
  readonly owner: Owner
  readonly cpus: number
  readonly memoryMib: number
  /** VM generation id: a guest that sees it change reseeds its random numbers. */
  readonly generationId: string
  readonly disks: readonly [DiskSpec, ...DiskSpec[]]
  readonly nics: readonly NicSpec[]
  /** What is in the CD-ROM drive, which every machine has; it is booted from when the root disk is empty. */
  readonly cdrom: IsoRef | null
  readonly firstBoot: FirstBoot
  /** Go on from this memory instead of booting; the devices must be those that the memory was made with. */
  readonly memory?: MemoryImageRef | null
  /**
   * The memory is of another machine, and this one is a clone of it. The guest finds that one's network cards, which have no link and no
   * way out, instead of `nics`: those are plugged in afterwards (`pullInheritedNics`, then `attachNic`).
   */
  readonly isClone?: boolean
}

/** One disk of a machine, and the empty layer, already made on its topmost one, that the machine is to write from the cut on. */
export interface DiskCut {
  readonly disk: DiskSpec
  readonly layer: LayerRef
}

export interface Cut {
  readonly disks: readonly [DiskCut, ...DiskCut[]]
  /** Where to save the memory too. */
  readonly memory: MemoryImageRef | null
  /** Leave that in the host's memory: for clones that start now. */
  readonly inHostMemory?: boolean
  /** The machine as it is described now. Where it is known, its process may be replaced by one that goes on in its place. */
  readonly machine?: MachineSpec
  /** Ask the guest to bring its file systems to rest first. */
  readonly quiesce: boolean
}

/** All that `into` shows of the layers between it and `onto` is put into it; it stands on `onto` from then on, or on nothing. */
export interface Merge {
  readonly into: LayerRef
  readonly onto: LayerRef | null
  /** Null: as fast as it goes. */
  readonly bytesPerSecond: number | null
}

export type Quiesced = 'quiesced' | 'agent-missing' | 'failed'

/**
 * How the memory came into the image: the memory itself is the image, and the machine goes on in a new process that reads from it; or it
 * was copied while the machine ran.
 */
export type MemoryWay = 'successor' | 'copy'

export interface CutFacts {
  /** How long the guest, or at least its disks, stood still; null where an earlier try made the cut. */
  readonly stunMs: number | null
  /** Null where nobody asked for it, or an earlier try made the cut. */
  readonly quiesced: Quiesced | null
  readonly memory: MemoryImageFacts | null
  /** Absent where no memory was saved, or an earlier try did it. */
  readonly way?: MemoryWay
}

/** What a machine has of its host. */
export interface MachineConfig {
  readonly cpus: number
  readonly memoryMib: number
}

export interface VmSnapshotRef {
  readonly id: VmSnapshotId
  readonly vm: VmId
  readonly recorded: MachineConfig
  readonly memory: MemoryImageRef | null
}

/** Who the guest of a machine is to be, that may have gone on as a copy of another's. */
export interface GuestIdentity {
  /** As in `FirstBoot`: a guest that was customized knows its seed already. */
  readonly instanceId: string
  readonly hostname: string
  /** Its own network cards; null: whatever address the guest was given. */
  readonly cards: readonly { readonly mac: string; readonly address: string | null }[]
  /** So long ago, at most, it was cut off from its source. */
  readonly ageMs: number
}

export type ClockOutcome = 'set' | 'agent-missing' | 'failed'

export type Power = 'on' | 'off'

export interface MachineFacts {
  readonly vm: VmId
  readonly power: Power
  /** Where it runs; null when it is off, or where the driver has one host only. */
  readonly host: HostId | null
  /** Ports of 127.0.0.1 that reach the guest's SSH, by NIC. */
  readonly sshPorts: Readonly<Record<NicId, number>>
}

export interface PowerChange {
  readonly vm: VmId
  readonly power: Power
  /** What was seen, for the event log: "the guest shut down", "the process 4711 ended by signal 9". */
  readonly reason: string
}

export interface HostFacts {
  readonly hypervisorVersion: string
  /** How guests run: 'kvm' or 'tcg' on QEMU. */
  readonly acceleration: string
  readonly cpus: number
  readonly cpuMhz: number
  readonly memoryMib: number
  readonly arch: string
  /** How guest networks are made, 'namespaces' on QEMU; or, after 'none: ', why none can be. */
  readonly networks: string
}

/** What is free of a host's memory now, whatever was promised to whom. */
export interface HostMemory {
  /** What may be taken before the host has to swap. */
  readonly availableBytes: number
  /** What memory images and machines that boot may still take of it. */
  readonly storeFreeBytes: number
}

export interface Space {
  readonly totalBytes: number
  readonly freeBytes: number
}

export interface ImageFacts {
  readonly format: 'qcow2' | 'raw' | 'vmdk' | 'vhdx' | 'iso'
  readonly virtualBytes: number
  readonly allocatedBytes: number
}

/** Tells how far a copy has come, from 0 to 100. */
export type Progress = (percent: number) => void

export interface Capabilities {
  /**
   * Who keeps the chains of disks. 'layers': the server, by `layers`, `memory`, `images` and the cuts and merges of `machines`.
   * 'machines': the hypervisor, which is asked by `forest` instead; there, those refuse ('unsupported', own-disks), and so does
   * `machines.start`.
   */
  readonly disks: 'layers' | 'machines'
  /** Copies of a whole disk may share blocks with their source where the file system can. */
  readonly reflink: boolean
  readonly linkedClone: boolean
  readonly fullClone: boolean
  readonly consoleLog: boolean
  readonly gracefulStop: boolean
  /** The highest place of a disk in a machine. */
  readonly highestDeviceId: number
  /** The most network cards that a machine may have. */
  readonly mostNics: number
  /** Running machines move from host to host of a cluster. */
  readonly migrate: boolean
  /** Hosts come and go by addHost and deleteHost. */
  readonly addHosts: boolean
  /** All disks of a running machine get new layers at one instant: `machines.cut`. */
  readonly vmSnapshot: boolean
  /** A cut may save the memory, and a machine may go on from there. */
  readonly memorySnapshot: boolean
  /** Other machines may go on from a memory too, as clones, and a machine may be frozen for them. */
  readonly instantClone: boolean
  /** Layers of a running machine are merged while it writes: `machines.merge`. */
  readonly liveMerge: boolean
  /** The most layers that a disk may consist of. */
  readonly longestChain: number
  /** From so many layers without a name on, a chain is shortened without being asked. */
  readonly consolidateAt: number
  /** The most disks of others that may stand on what a running machine wrote; null: any number. */
  readonly mostDeltas: number | null
  /** Guest networks outlive the machines in them: `networks`, and network cards of the kind 'network'. */
  readonly networks: boolean
}

export interface Driver {
  readonly hypervisor: Hypervisor
  readonly capabilities: Capabilities

  readonly hosts: {
    /** What the host is and has, asked now; a Problem ('unavailable', host-silent) when it does not answer. */
    facts(host: HostRef): Promise<HostFacts>
    memory(host: HostRef): Promise<HostMemory>
  }

  readonly pools: {
    /**
     * Makes the pool's folder and rights, and marks it as this pool's. A folder that is another pool's is refused ('refused').
     * Called once, when the pool is added: a pool that is not there later is never made anew, for it may only be unmounted.
     */
    prepare(pool: PoolRef): Promise<void>
    /** Throws 'unavailable' when the pool is not there; so does every call that makes or removes a layer of it. */
    space(pool: PoolRef): Promise<Space>
    /** Takes the mark off a pool that holds no layer any more; what the folder holds besides stays. */
    release(pool: PoolRef): Promise<void>
  }

  readonly images: {
    /**
     * What the image file from a stranger is, or a Problem ('invalid') that says why it cannot be a template: a backing
     * or data file, an unknown or wrong format, a virtual size over `maxVirtualBytes`, damage, encryption. Reads it with
     * least privilege and bounded memory and time, and never opens another file that it names.
     */
    inspect(file: string, expected: ImageFacts['format'], maxVirtualBytes: number): Promise<ImageFacts>
  }

  readonly layers: {
    /** A first layer, from an inspected image file: of `owner`; or of nobody, readable by every machine and written by none. */
    seed(
      layer: LayerRef,
      image: string,
      format: ImageFacts['format'],
      owner: Owner | null,
      progress: Progress,
      signal: AbortSignal,
    ): Promise<LayerFacts>
    /** An empty layer of `owner` on top of `base`; `virtualBytes` may be larger than the base's. */
    fork(layer: LayerRef, base: LayerChain, virtualBytes: number, owner: Owner): Promise<LayerFacts>
    /**
     * A flat copy of what `source` shows, standing on nothing: of `owner`; or of nobody, readable by every machine and written by none.
     * `reader` may read the source, where its layers are not the owner's.
     */
    copy(
      layer: LayerRef,
      source: LayerChain,
      virtualBytes: number,
      owner: Owner | null,
      progress: Progress,
      signal: AbortSignal,
      reader?: Owner,
    ): Promise<LayerFacts>
    /** What the topmost layer of `source` holds, on `base`, which shows the same as what that layer stands on. */
    graft(
      layer: LayerRef,
      source: LayerChain,
      base: LayerChain,
      owner: Owner,
      progress: Progress,
      signal: AbortSignal,
    ): Promise<LayerFacts>
    /** An empty disk. */
    blank(layer: LayerRef, virtualBytes: number, owner: Owner): Promise<LayerFacts>
    /**
     * Makes the topmost layer, which no machine may have open, larger or smaller. A smaller one is refused ('refused') where data lie
     * beyond its new end, or the layer below is larger.
     */
    resize(chain: LayerChain, virtualBytes: number, owner: Owner): Promise<LayerFacts>
    /** Writes what the chain shows into a file of its own, of the server, that anybody can use elsewhere: a qcow2 image on QEMU. */
    export(chain: LayerChain, file: string, owner: Owner, progress: Progress, signal: AbortSignal): Promise<void>
    /**
     * Merges within a chain that no machine has open, described as before the merge. What is below `into` is only read, and so are
     * others that stand on it. Aborted or killed in the middle, the layer shows the same still, on the old chain; a repeat finishes.
     */
    merge(chain: LayerChain, merge: Merge, owner: Owner, progress: Progress, signal: AbortSignal): Promise<LayerFacts>
    /** Null when there is no such layer, or only a half-made one. */
    facts(layer: LayerRef): Promise<LayerFacts | null>
    /** Removes exactly the files of this layer: all companions, whatever type was recorded. */
    discard(layer: LayerRef): Promise<void>
    /** Ids of all layers of which the pool holds any file, half-made ones too. */
    list(pool: PoolRef): Promise<LayerId[]>
  }

  readonly memory: {
    /** Null when there is no such image, or only a half-made one. */
    facts(image: MemoryImageRef): Promise<MemoryImageFacts | null>
    /** Why no machine can go on from it here and now, as a sentence; null when one can. */
    fits(image: MemoryImageRef): Promise<string | null>
    /** Removes it, half-made or whole. Machines that went on from it run on; what they still read of it is freed when they end. */
    discard(image: MemoryImageRef): Promise<void>
    /** Ids of all images of which the pool, or the host's memory for it, holds any file, half-made ones too. */
    list(pool: PoolRef): Promise<MemoryImageId[]>
  }

  readonly networks: Networks

  /** Null where the server keeps the chains. */
  readonly forest: Forest | null

  readonly machines: {
    /**
     * Makes the machine run as described; one that already runs is left alone. Fulfils when its CPUs run. From memory it goes on only
     * where nobody wrote the topmost layers since they were made, whoever was killed when: 'refused' (disk-written), for the
     * guest would destroy what it does not remember.
     */
    start(spec: MachineSpec): Promise<MachineFacts>
    /**
     * Like `start`, for a machine that goes on from `spec.memory`; but one that runs on other layers is replaced. Where the hypervisor can, it
     * runs until the new one is ready, and its connections live on. A failure leaves it running, or off.
     */
    replace(spec: MachineSpec): Promise<MachineFacts>
    /** Asks the guest to shut down and waits `graceMs`, then cuts the power; 0 cuts at once. Fulfils when it is off. */
    stop(vm: VmId, graceMs: number, signal: AbortSignal): Promise<void>
    /** Plugs the disk into a machine that runs; one that is off is left alone, for it starts with all its disks. */
    attachDisk(vm: VmId, disk: DiskSpec): Promise<void>
    /**
     * Asks the guest to let go of the disk and pulls it out; a Problem ('unavailable') when the guest does not in time. A machine that
     * is off, or has another disk at that place, is left alone.
     */
    detachDisk(vm: VmId, disk: DiskSpec, signal: AbortSignal): Promise<void>
    /**
     * Plugs the network card into a machine that runs, whose name is `hostname` in the network; one that is off is left alone, for it
     * starts with all its cards. Answers with the port that reaches the guest's SSH by it, where it has one.
     */
    attachNic(vm: VmId, nic: NicSpec, hostname: string): Promise<MachineFacts>
    /**
     * Pulls the network card out of a machine that runs; a Problem ('unavailable') when the guest does not let go of it in time. Either
     * way what its network keeps for it is given up. Another card at that place is left alone.
     */
    detachNic(vm: VmId, nic: NicSpec, signal: AbortSignal): Promise<void>
    /** Makes a disk of a machine larger while it runs, so that the guest sees it. False when the machine is off. */
    growDisk(vm: VmId, disk: DiskSpec, virtualBytes: number): Promise<boolean>
    /**
     * Moves a running machine to another host that reaches its disks, without stopping it; one that is there already stays.
     * When it fails the machine runs where it was, and `facts` tells where that is. Only with the capability `migrate`.
     */
    migrate(vm: VmId, to: HostRef, signal: AbortSignal): Promise<MachineFacts>
    /** The layer that the machine really writes, for each disk by its place; null when it is off. */
    activeLayers(vm: VmId): Promise<ReadonlyMap<number, LayerId> | null>
    /**
     * Gives all these disks of a running machine new topmost layers at one instant, and saves its memory of that instant if asked.
     * Whatever fails, the machine runs on, on the layers that `activeLayers` tells, and its file systems are not left at rest. A
     * repeat after the cut was made only says so; where the memory of that instant was not saved whole, it is a Problem
     * ('refused', memory-not-saved). Of a machine that is off, 'refused' (machine-off): there the new layers may be taken for the active
     * ones without asking, for a layer that was never written shows what it stands on.
     */
    cut(vm: VmId, cut: Cut, progress: Progress, signal: AbortSignal): Promise<CutFacts>
    /**
     * Ends a running machine at an instant, of which its memory becomes `image`, in the host's memory: clones start from there, on layers
     * that stand on those it wrote last; and so does the machine itself, as from any memory image. Whatever fails, it runs on. Of a machine
     * that is off, the image that an earlier try made, or a Problem ('refused', machine-off).
     */
    freeze(vm: VmId, image: MemoryImageRef, progress: Progress, signal: AbortSignal): Promise<MemoryImageFacts>
    /**
     * Asks the guest to let go of the network cards that a clone found in its memory, and pulls them out. Answers the places of those that it
     * did not let go of in time: they stay, without link. Cards of its own are left alone, and so is a machine that is off.
     */
    pullInheritedNics(vm: VmId, signal: AbortSignal): Promise<readonly number[]>
    /**
     * Does what `layers.merge` does with a disk of a running machine, while the guest works. False when the machine is off or goes off
     * before the end.
     */
    merge(vm: VmId, disk: DiskSpec, merge: Merge, progress: Progress, signal: AbortSignal): Promise<boolean>
    /**
     * What the machine of a VM snapshot was when that was taken, as the hypervisor knows it; what it keeps no record of, as the
     * server recorded it.
     */
    getVmSnapshotConfigs(snapshot: VmSnapshotRef): Promise<MachineConfig>
    /** Sets the guest's clock to the host's time: one that went on from a memory image believes that no time has passed. */
    setClock(vm: VmId, limitMs: number): Promise<ClockOutcome>
    /**
     * Makes the guest somebody of its own: random numbers, hostname, machine-id, SSH host keys, clock, addresses, and the user's own
     * script (`afterClone` in core/identity.ts). Answers what could not be confirmed by reading it back, in plain words; nothing, when
     * all was. A repeat keeps what an earlier try made. The machine goes on being used meanwhile; of one that is off, nothing is
     * confirmed.
     */
    customize(vm: VmId, identity: GuestIdentity, limitMs: number, signal: AbortSignal): Promise<readonly string[]>
    /**
     * Puts the CD into the drive of a machine that runs, or takes out what is there; one that is off is left alone. A guest that
     * holds the drive is asked to let go, unless `force` takes the CD from it; 'unavailable' when it does not.
     */
    changeMedium(vm: VmId, iso: IsoRef | null, force: boolean, signal: AbortSignal): Promise<void>
    /** Removes what belongs to the machine besides its layers: seed, sockets, logs, addresses in networks. The machine must be off. */
    discard(vm: VmId): Promise<void>
    facts(vm: VmId): Promise<MachineFacts>
    /**
     * What the machine holds of its host's memory now: what it alone has, and its share of what it has in common with others. Null where it
     * is off, or where the hypervisor keeps account of memory by itself.
     */
    heldMemory(vm: VmId): Promise<number | null>
    /** Every machine of which the host holds a process or a file. */
    list(): Promise<MachineFacts[]>
    /** The end of the serial console's output, at most `maxBytes`. */
    consoleLog(vm: VmId, maxBytes: number): Promise<Uint8Array>
    /** Finds the machines that outlived the last server and watches them again. */
    adopt(): Promise<MachineFacts[]>
  }

  /** Processes that wait to become clones; absent where there are none. */
  readonly warm?: Warm

  /** Calls `listener` within a second of a machine's power changing by itself. Returns how to stop listening. */
  onPowerChange(listener: (change: PowerChange) => void): () => void
  /** Lets go of everything without touching a machine. */
  close(): Promise<void>
}
