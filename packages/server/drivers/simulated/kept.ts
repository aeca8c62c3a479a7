// What a simulated vCenter holds: machines, templates and seeds with their disks and snapshots. One is a plain record that every change
// replaces, so that the world's journal keeps it as it keeps the rest.
import type { ForkId, HostId, LayerId, TemplateId, VmId, VmSnapshotId, VolumeId } from '@ramet/core/ids.ts'
import type { Spawn } from '../forest.ts'
import type { MachineFacts, Power } from '../driver.ts'
import { problems } from '../vsphere/problems.ts'
import { type KeptDisk, ownFiles } from './kept-disks.ts'
import { change, type World } from './world.ts'

export interface KeptSnapshot {
  readonly id: VmSnapshotId | ForkId | null
  /** What linked clones stand on, and no VM snapshot. */
  readonly isFork?: boolean
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

export type KeptAs =
  | { readonly vm: VmId }
  | { readonly template: TemplateId }
  | { readonly seed: LayerId }
  | { readonly volume: VolumeId }
  | null

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
  /** It stands still, frozen from inside its guest. */
  readonly isFrozen?: boolean
}

export function put(world: World, kept: Kept): Kept {
  change(world, { kept })
  return kept
}

/** The vCenter's machine of this id; undefined where there is none. */
export function keptAs(world: World, vcenter: string, id: VmId | TemplateId | LayerId | VolumeId): Kept | undefined {
  return [...world.kept.values()].find(each => each.vcenter === vcenter && Object.values(each.as ?? {}).includes(id))
}

/** Machines of ours, whichever vCenter has them. */
export function keptMachines(world: World): MachineFacts[] {
  return [...world.kept.values()].flatMap(({ as, power, host }) =>
    as && 'vm' in as ? [{ vm: as.vm, power, host, sshPorts: {} }] : [],
  )
}

export function demandKept(world: World, vcenter: string, id: VmId | TemplateId | LayerId | VolumeId): Kept {
  const found = keptAs(world, vcenter, id)
  if (!found) throw problems.gone(`anything of the id ${id}`, undefined)
  return found
}

export function snapshotIn({ snapshots, name }: Kept, id: VmSnapshotId | ForkId): KeptSnapshot {
  const found = snapshots.find(each => each.id === id)
  if (!found) throw problems.gone(`the snapshot ${id} of ${name}`, undefined)
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
export function originOf(world: World, vcenter: string, from: Spawn['from']): Origin {
  if (from.kind === 'vm-snapshot' || from.kind === 'fork') {
    const kept = demandKept(world, vcenter, from.vm)
    const { disks, memory, cpus, memoryMib } = snapshotIn(kept, from.id)
    return { kept, disks, withMemory: memory !== null, cpus, memoryMib }
  }
  const kept = demandKept(world, vcenter, from.id)
  return { kept, disks: kept.disks, withMemory: false, cpus: kept.cpus, memoryMib: kept.memoryMib }
}

/** All disks that it has, also those of its snapshots. */
export function allDisks({ disks, snapshots }: Kept): readonly KeptDisk[] {
  return [...disks, ...snapshots.flatMap(each => each.disks)]
}

/** The name of another that stands on one of these files. */
export function standingOn(world: World, kept: Kept, files: ReadonlySet<string>): string | undefined {
  const stands = (each: Kept) => allDisks(each).some(disk => disk.files.some(file => files.has(file)))
  return [...world.kept.values()].find(each => each.foreign !== kept.foreign && stands(each))?.name
}

/** What others stand on stays: a vCenter would spoil them. */
export function removeKept(world: World, kept: Kept): void {
  const above = standingOn(world, kept, ownFiles(kept, allDisks(kept)))
  if (above !== undefined)
    throw kept.as && 'seed' in kept.as ? problems.seedInUse(above) : problems.inUse(`The machine ${kept.name}`, above)
  change(world, { keptGone: kept.foreign })
}
