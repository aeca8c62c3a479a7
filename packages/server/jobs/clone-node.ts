// A node as what a clone is made of: all disks of a machine at one instant, and perhaps its memory. It is a fork, which a job may be at
// still, or a VM snapshot with memory. Each disk of the clone is on the storage of the one it comes from. A linked one, which instant clones
// have too, is a layer on that; a full one is a flat copy of it.
import type {
  ForkId,
  JobId,
  LayerId,
  MemoryImageId,
  StoragePoolId,
  VmId,
  VmSnapshotId,
  VolumeId,
} from '@ramet/core/ids.ts'
import type { CloneType } from '@ramet/core/clone-type.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { LayerChain } from '../drivers/driver.ts'
import { chainBytes, layerChain } from '../store/layers.ts'
import type { Tx } from '../store/database.ts'
import { disksOfFork, shareFork } from '../store/forks.ts'
import { holdReadyMemory, memoryRef } from '../store/memory-images.ts'
import { disksOf, usableVmSnapshot } from '../store/vm-snapshots.ts'
import { setVm } from '../store/vms.ts'
import { setVolume, volumesOf } from '../store/volumes.ts'
import type { RecordContext, StepContext } from './define-job.ts'
import type { PoolCopy } from './disk-demand.ts'
import { untilDone } from './others.ts'
import { untilNothingMerges } from './snapshot-source.ts'

export interface CloneNode {
  /** The machine that is cloned. */
  readonly vm: VmId
  readonly pool: StoragePoolId
  readonly from:
    | {
        readonly fork: ForkId
        readonly job: JobId | null
        /** Of an instant that was kept already, for people. */
        readonly heldAt?: string
      }
    | { readonly vmSnapshot: VmSnapshotId }
    /** The machine itself, where the hypervisor keeps its disks: as it is when it is copied; linked clones of one call share a fork. */
    | { readonly itself: { readonly fork: ForkId | null } }
  /** An instant clone: it goes on from the node's memory. */
  readonly goesOn: boolean
}

/** A disk of the clone, and which of the machine's volumes it comes from. */
export interface ClonedDisk {
  readonly volume: VolumeId
  readonly layer: LayerId
  readonly of?: VolumeId
}

export interface NodeDisk {
  readonly volume: VolumeId
  readonly layer: LayerId
  readonly bytes: number
}

interface Node {
  readonly disks: readonly NodeDisk[]
  readonly memory: MemoryImageId | null
}

/** Goes on when the node is there; until then the job that makes it is waited for. */
export async function untilMade(tx: Tx, { from }: CloneNode): Promise<void> {
  if ('fork' in from && from.job) await untilDone(tx, from.job)
}

/** It stays until the transaction ends. */
async function nodeOf(tx: Tx, node: CloneNode): Promise<Node> {
  await untilMade(tx, node)
  const { from } = node
  if ('vmSnapshot' in from) {
    const { memory_image_id: memory } = await usableVmSnapshot(tx, from.vmSnapshot)
    return { disks: (await disksOf(tx, from.vmSnapshot)).map(asDisk), memory }
  }
  if (!('fork' in from)) throw new Error(`machine ${node.vm} has no layers that a clone could stand on`)
  const fork = await shareFork(tx, from.fork)
  if (fork?.state !== 'Ready')
    throw new Problem(
      'refused',
      'fork-gone',
      `The instant that was to be cloned is ${fork?.state ?? 'gone'}; ask again`,
    )
  return { disks: (await disksOfFork(tx, from.fork)).map(asDisk), memory: fork.memory_image_id }
}

function asDisk({ volume_id, layer_id, size_bytes }: { volume_id: VolumeId; layer_id: LayerId; size_bytes: number }) {
  return { volume: volume_id, layer: layer_id, bytes: size_bytes }
}

/** What a copy of the root disk is made of, as far as that is known before the instant is held; a disk that shares it copies nothing. */
export async function copyOfRoot(tx: Tx, { vm, from, pool }: CloneNode, type: CloneType): Promise<PoolCopy> {
  if (type === 'linked') return { pool, layer: null, bytes: 0 }
  const [root] = 'vmSnapshot' in from ? await disksOf(tx, from.vmSnapshot) : await volumesOf(tx, vm)
  const layer = root?.layer_id ?? null
  return { pool, layer, bytes: layer ? await chainBytes(tx, layer) : 0 }
}

/** What each disk of the clone is made of, in the order of `disks`; the clone has the sizes of that instant, and names the memory. */
export async function basesOfNode(
  { tx, input }: RecordContext<{ readonly vm: VmId; readonly disks: readonly ClonedDisk[] }, object>,
  node: CloneNode,
): Promise<readonly (NodeDisk & { readonly chain: LayerChain })[]> {
  const { disks, memory } = await nodeOf(tx, node)
  const isSame =
    disks.length === input.disks.length && input.disks.every(({ of }) => disks.some(({ volume }) => volume === of))
  if (!isSame)
    throw new Problem(
      'refused',
      'disks-changed',
      'The machine was given a disk, or lost one, after the clone was asked for; ask again',
    )
  const bases: (NodeDisk & { readonly chain: LayerChain })[] = []
  for (const { volume, of } of input.disks) {
    const base = disks.find(each => each.volume === of) as NodeDisk
    await untilNothingMerges(tx, base.layer)
    const chain = await layerChain(tx, base.layer)
    const { pool } = chain[chain.length - 1] ?? chain[0]
    await setVolume(tx, volume, { pool_id: pool.id, size_bytes: base.bytes })
    bases.push({ ...base, chain })
  }
  if (node.goesOn) await goOnFrom(tx, input.vm, memory)
  return bases
}

async function goOnFrom(tx: Tx, vm: VmId, memory: MemoryImageId | null): Promise<void> {
  if (!memory)
    throw new Problem(
      'refused',
      'no-memory',
      'The memory of that instant is gone; take another VM snapshot with memory',
    )
  await holdReadyMemory(tx, memory)
  await setVm(tx, vm, { memory_image_id: memory })
}

/** Said before anything is made: whether the clone can go on from the memory here and now. */
export async function demandMemoryFits<I extends { readonly vm: VmId }>({
  db,
  driver,
  input,
}: StepContext<I, object>): Promise<void> {
  const { memory_image_id: memory, name } = await db
    .selectFrom('vm')
    .selectAll()
    .where('id', '=', input.vm)
    .executeTakeFirstOrThrow()
  const reason = memory && (await driver.memory.fits(await memoryRef(db, memory)))
  if (reason)
    throw new Problem(
      'refused',
      'memory-does-not-fit',
      `${name} cannot go on from that memory here: ${reason}. Its disks can be cloned: clonetype=linked or full`,
    )
}
