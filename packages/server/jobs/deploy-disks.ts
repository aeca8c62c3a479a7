// The disks of a deployment: reserved in the database, made by the driver, published. A linked clone's root is a new layer
// on the template's copy, a full clone's a flat copy of it; data disks begin empty.
import type { CloneType } from '@ramet/core/clone-type.ts'
import type { LayerId, StoragePoolId, VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { LayerChain, LayerFacts, Owner, PoolRef } from '../drivers/driver.ts'
import { holdCapacity, poolRooms, setPoolSpace } from '../store/capacity.ts'
import { recordEvents } from '../store/events.ts'
import { forgetLayer, layerChain, layerRefIfAny, publishLayer, reserveLayer } from '../store/layers.ts'
import { poolById } from '../store/pools.ts'
import { accountOfVm } from '../store/vms.ts'
import { setVolume, type Volume, volumesOf } from '../store/volumes.ts'
import type { RecordContext, StepContext } from './define-job.ts'
import type { DeployVm } from './deploy-vm.ts'
import { placementFactors } from './vm-steps.ts'

type Recording = RecordContext<DeployVm, object>
type Acting = StepContext<DeployVm, object>

export interface Base {
  readonly pool: StoragePoolId
  readonly cloneType: CloneType
  /** The template's copy on the pool; null where the root disk begins empty. */
  readonly layer: LayerId | null
}

/** What the driver needs to make the disks, root first. */
export interface Disks {
  readonly owner: Owner
  /** The template's copy with all it stands on; null where the root disk begins empty. */
  readonly base: LayerChain | null
  readonly pool: PoolRef
  readonly sizes: readonly number[]
}

export async function reserveDisks(
  { tx, input, settings }: Recording,
  { pool, cloneType, layer: base }: Base,
): Promise<Disks> {
  const account = await accountOfVm(tx, input.vm)
  const volumes = await volumesOf(tx, input.vm)
  const copied = cloneType === 'full' && base ? await roomForCopy({ tx, settings }, pool, base) : 0
  const sizes: number[] = []
  for (const [index, { volume, layer }] of input.disks.entries()) {
    const isRoot = index === 0
    const virtualBytes = sizeOf(volumes, volume)
    await reserveLayer(tx, {
      id: layer,
      pool,
      parent: isRoot && cloneType === 'linked' ? base : null,
      account: account.id,
      virtualBytes,
      expectedBytes: isRoot ? copied : 0,
    })
    await setVolume(tx, volume, { layer_id: layer })
    sizes.push(virtualBytes)
  }
  const chain = base && (await layerChain(tx, base))
  const place = chain?.[0].pool ?? (await poolById(tx, pool))
  if (!place) throw new Error(`there is no storage pool ${pool}`)
  return { owner: { accountNumber: account.number }, base: chain, pool: { id: place.id, path: place.path }, sizes }
}

function sizeOf(volumes: readonly Volume[], id: VolumeId): number {
  const volume = volumes.find(each => each.id === id)
  if (!volume) throw new Error(`the machine has no volume ${id}`)
  return volume.size_bytes
}

/**
 * What a full clone takes, if the pool has it. Before the template was copied nobody knew how large it would be here, for its
 * file may have been compressed; and the lock keeps two clones from taking the same room.
 */
export async function roomForCopy(
  { tx, settings }: Pick<Recording, 'tx' | 'settings'>,
  pool: StoragePoolId,
  base: LayerId,
): Promise<number> {
  await holdCapacity(tx)
  const copy = await tx.selectFrom('layer').select('allocated_bytes').where('id', '=', base).executeTakeFirstOrThrow()
  const room = (await poolRooms(tx, placementFactors(settings))).find(({ id }) => id === pool)
  if (room && room.freeBytes < copy.allocated_bytes) throw noRoom(room.name, copy.allocated_bytes)
  return copy.allocated_bytes
}

function noRoom(pool: string, bytes: number): Problem {
  const mib = Math.ceil(bytes / 2 ** 20)
  return new Problem('no-capacity', 'no-capacity', `Storage pool ${pool} has no room for a full clone of ${mib} MiB`)
}

export async function unreserveDisks({ tx, input }: Recording): Promise<void> {
  for (const { volume, layer } of input.disks) {
    await setVolume(tx, volume, { layer_id: null })
    await forgetLayer(tx, layer)
  }
}

export async function makeDisks(
  { db, driver, input, progress, signal }: Acting,
  cloneType: CloneType,
  { owner, base, pool, sizes }: Disks,
): Promise<LayerFacts[]> {
  const facts: LayerFacts[] = []
  for (const [index, { layer }] of input.disks.entries()) {
    const [ref, bytes] = [{ id: layer, pool }, sizes[index] as number]
    if (index > 0 || !base) facts.push(await driver.layers.blank(ref, bytes, owner))
    else if (cloneType === 'linked') facts.push(await driver.layers.fork(ref, base, bytes, owner))
    else facts.push(await driver.layers.copy(ref, base, bytes, owner, progress, signal))
  }
  // The reservation ends when the copy is ready; from then on the pool itself must know of it.
  if (cloneType === 'full') await setPoolSpace(db, pool.id, await driver.pools.space(pool))
  return facts
}

export async function unmakeDisks({ db, driver, input }: Acting): Promise<void> {
  for (const { layer } of input.disks) {
    const ref = await layerRefIfAny(db, layer)
    if (ref) await driver.layers.discard(ref)
  }
}

export async function publishDisks({ tx, input, job }: Recording, facts: readonly LayerFacts[]): Promise<void> {
  for (const [index, { volume, layer }] of input.disks.entries()) {
    await publishLayer(tx, layer, facts[index] as LayerFacts)
    await setVolume(tx, volume, { state: 'Ready', attached: new Date() })
  }
  await recordEvents(
    tx,
    input.disks.map(({ volume }) => ({
      type: 'VOLUME.CREATE',
      description: `created volume ${volume}`,
      account: job.account_id,
      user: job.user_id,
      resourceType: 'Volume',
      resource: volume,
      startEvent: job.start_event_id,
    })),
  )
}
