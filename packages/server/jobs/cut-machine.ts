// What a machine is at one instant: its disks cut, and its memory if asked, of which VM snapshots and clones are made. The steps of that, by
// name, for the recipes beside this file: `reserve` first, then `fork`, `cut`, and `publishInstant` in the last one. When a later step
// fails, the machine runs on, and writes what it really writes (cut-disks.ts).
import { type MemoryImageId, newId, type VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { CutFacts, LayerFacts } from '../drivers/driver.ts'
import type { Tx } from '../store/database.ts'
import { forgetMemory, memoryRefIfAny, publishMemory, reserveMemory } from '../store/memory-images.ts'
import type { NamedDisk } from '../store/vm-snapshots.ts'
import type { Vm } from '../store/vms.ts'
import { type Volume, volumesOf } from '../store/volumes.ts'
import {
  type CutDisk,
  cutDisks,
  forkDisks,
  measureOld,
  publishCut,
  reserveCut,
  settleCut,
  unforkDisks,
  unreserveCut,
} from './cut-disks.ts'
import type { RecordContext, StepContext } from './define-job.ts'

export interface Reserved {
  readonly isRunning: boolean
  readonly disks: CutDisk[]
  readonly memory: MemoryImageId | null
}

type OfOld = { readonly ofOld: readonly (LayerFacts | null)[] }

/** What the steps have made, when all are done; a machine that is off has no cut. */
export interface MadeOfInstant {
  readonly reserve: Reserved
  readonly fork: { readonly facts: readonly LayerFacts[] } & OfOld
  readonly cut?: CutFacts & OfOld
}

interface OnVm {
  readonly vm: VmId
}

type Acting = StepContext<OnVm, { readonly reserve: Reserved }>

/** Names a new layer for each disk, and a memory image if asked. */
export async function reserveInstant(tx: Tx, vm: Vm, withMemory: boolean): Promise<Reserved> {
  const volumes = await volumesOf(tx, vm.id)
  const disks = await reserveCut(tx, volumes)
  const memory = withMemory ? await reserveMemoryOf(tx, vm, volumes) : null
  return { isRunning: vm.state === 'Running', disks, memory }
}

export async function unreserveInstant(context: RecordContext<OnVm, object>): Promise<void> {
  const { disks, memory } = (context.made as { readonly reserve: Reserved }).reserve
  await unreserveCut(context, disks)
  if (memory) await forgetMemory(context.tx, memory)
}

export const forkInstant = {
  do: async (context: Acting) => {
    const { disks } = context.made.reserve
    return { facts: await forkDisks(context, disks), ofOld: await measureOld(context, disks) }
  },
  undo: (context: Acting) => unforkDisks(context, context.made.reserve.disks),
}

export const cutInstant = {
  when: ({ reserve }: { readonly reserve: Reserved }) => reserve.isRunning,
  /** `inHostMemory`: the memory is for clones that start now. */
  do: async (context: Acting, { quiesce = false, inHostMemory = false }) => {
    const { disks, memory } = context.made.reserve
    const facts = await cutDisks(context, context.input.vm, disks, memory, quiesce, inHostMemory)
    return { ...facts, ofOld: await measureOld(context, disks) }
  },
  undo: async (context: Acting) => {
    const { db, driver, input, made } = context
    await settleCut(context, input.vm, made.reserve.disks)
    const image = made.reserve.memory && (await memoryRefIfAny(db, made.reserve.memory))
    if (image) await driver.memory.discard(image)
  },
}

/** Answers the layers that hold the instant, for whoever names them. */
export async function publishInstant(tx: Tx, { reserve, fork, cut }: MadeOfInstant): Promise<NamedDisk[]> {
  const { disks, memory } = reserve
  await publishCut(tx, disks, fork.facts, (cut ?? fork).ofOld)
  if (memory && cut?.memory) await publishMemory(tx, memory, cut.memory)
  return namedDisks(disks)
}

export function namedDisks(disks: readonly CutDisk[]): NamedDisk[] {
  return disks.map(({ volume, old, deviceId, bytes }) => ({ volume, layer: old, deviceId, bytes }))
}

/** Names a memory image, on the storage of the root disk. */
export async function reserveMemoryOf(tx: Tx, vm: Vm, volumes: readonly Volume[]): Promise<MemoryImageId> {
  const pool = volumes.find(({ type }) => type === 'ROOT')?.pool_id
  if (!pool) throw new Problem('refused', 'vm-without-disk', `Virtual machine ${vm.name} has no root disk`)
  const memory = newId<'memory-image'>()
  await reserveMemory(tx, { id: memory, pool, account: vm.account_id, memoryBytes: vm.memory_mib * 2 ** 20 })
  return memory
}

/** For the event log. */
export function stunOf(cut: CutFacts | undefined): string[] {
  return typeof cut?.stunMs === 'number' ? [`the guest stood still for ${cut.stunMs.toFixed(1)} ms`] : []
}
