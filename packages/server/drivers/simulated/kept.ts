// What a simulated vCenter holds: machines, templates and seeds with their disks and snapshots. One is a plain record that every change
// replaces, so that the world's journal keeps it as it keeps the rest.
import type { HostId, SeedId, TemplateId, VmId, VmSnapshotId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { DiskFacts, NodeRef } from '../forest.ts'
import type { MachineFacts, Power } from '../driver.ts'
import { type Blocks, change, type World } from './world.ts'

export interface KeptDisk {
  readonly deviceId: number
  readonly virtualBytes: number
  /** Files below those of this machine, by their number: 0 where it stands on nothing. */
  readonly below: number
  /** What its guest sees, by block. */
  readonly blocks: Blocks
}

export interface KeptSnapshot {
  readonly id: VmSnapshotId | null
  readonly key: string
  readonly name: string
  readonly parent: string | null
  readonly createdAt: string
  readonly disks: readonly KeptDisk[]
  /** What the guest had in mind; null where no memory was saved. */
  readonly memory: string | null
  readonly cpus: number
  readonly memoryMib: number
}

export type KeptAs = { readonly vm: VmId } | { readonly template: TemplateId } | { readonly seed: SeedId } | null

export interface Kept {
  /** Such as vm-12. */
  readonly foreign: string
  /** Whose: the simulated vCenters are told apart by their addresses. */
  readonly vcenter: string
  readonly name: string
  /** What it is of ours. */
  readonly as: KeptAs
  readonly isTemplate: boolean
  readonly power: Power
  readonly host: HostId | null
  readonly cpus: number
  readonly memoryMib: number
  readonly disks: readonly KeptDisk[]
  readonly snapshots: readonly KeptSnapshot[]
  /** The snapshot that its state stands on. */
  readonly current: string | null
  readonly networks: readonly string[]
  /** What the guest has in mind while it runs. */
  readonly memory: string
  /** The last revert: one of that name is not done again. */
  readonly operation: string | null
  /** The one whose disks it stands on. */
  readonly standsOn: string | null
}

export function put(world: World, kept: Kept): Kept {
  change(world, { kept })
  return kept
}

/** The vCenter's machine of this id; undefined where there is none. */
export function keptAs(world: World, vcenter: string, id: VmId | TemplateId | SeedId): Kept | undefined {
  return [...world.kept.values()].find(each => each.vcenter === vcenter && Object.values(each.as ?? {}).includes(id))
}

/** Machines of ours, whichever vCenter has them. */
export function keptMachines(world: World): MachineFacts[] {
  return [...world.kept.values()].flatMap(({ as, power, host }) =>
    as && 'vm' in as ? [{ vm: as.vm, power, host, sshPorts: {} }] : [],
  )
}

export function demandKept(world: World, vcenter: string, id: VmId | TemplateId | SeedId): Kept {
  const found = keptAs(world, vcenter, id)
  if (!found) throw new Problem('invalid', 'unknown-foreign', `The simulated vCenter has nothing of the id ${id}`)
  return found
}

export function snapshotIn({ snapshots, name }: Kept, id: VmSnapshotId): KeptSnapshot {
  const found = snapshots.find(each => each.id === id)
  if (!found) throw new Problem('invalid', 'unknown-foreign', `${name} has no snapshot ${id}`)
  return found
}

export interface Origin {
  readonly kept: Kept
  readonly disks: readonly KeptDisk[]
  readonly withMemory: boolean
  readonly cpus: number
  readonly memoryMib: number
}

/** The node as machines are made of it. */
export function originOf(world: World, vcenter: string, from: NodeRef): Origin {
  if (from.kind === 'vm-snapshot') {
    const kept = demandKept(world, vcenter, from.vm)
    const { disks, memory, cpus, memoryMib } = snapshotIn(kept, from.id)
    return { kept, disks, withMemory: memory !== null, cpus, memoryMib }
  }
  const kept = demandKept(world, vcenter, from.id)
  return { kept, disks: kept.disks, withMemory: false, cpus: kept.cpus, memoryMib: kept.memoryMib }
}

/** How many files a machine has of each disk: one, and one for each snapshot that its state stands on. */
function ownFiles({ snapshots, current }: Kept): number {
  let count = 1
  for (let at = snapshots.find(({ key }) => key === current); at; count++) {
    const { parent } = at
    at = snapshots.find(({ key }) => key === parent)
  }
  return count
}

const bytesOfBlock = 4096

export function factsOfDisks(kept: Kept, disks = kept.disks): DiskFacts[] {
  const own = ownFiles(kept)
  return disks.map(({ deviceId, virtualBytes, below, blocks }) => ({
    key: String(2000 + deviceId),
    deviceId,
    virtualBytes,
    allocatedBytes: below === 0 ? virtualBytes / 16 : Object.keys(blocks).length * bytesOfBlock,
    depth: below + own,
    files: Array.from({ length: own }, (_, at) => `[${kept.vcenter}] ${kept.name}/${kept.name}_${deviceId}-${at}.vmdk`),
  }))
}

/** Disks of a machine that is made of the node: copies, or disks that stand on its. */
export function disksFrom({ kept, disks }: Origin, cloneType: 'full' | 'linked', rootBytes: number | null): KeptDisk[] {
  const below = (disk: KeptDisk) => (cloneType === 'full' ? 0 : disk.below + ownFiles(kept))
  return disks.map(disk => ({
    ...disk,
    below: below(disk),
    virtualBytes: Math.max(disk.virtualBytes, (disk.deviceId === 0 && rootBytes) || 0),
  }))
}
