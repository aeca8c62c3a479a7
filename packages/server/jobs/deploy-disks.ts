// The disks of a deployment: reserved in the database, made by the driver, published. A linked clone's root is a new layer
// on the copy of its template or VM snapshot, or right on the disk of that; a full clone's is a flat copy of it; data disks begin empty.
import type { CloneType } from '@ramet/core/clone-type.ts'
import type { LayerId, StoragePoolId, VolumeId } from '@ramet/core/ids.ts'
import type { LayerChain, LayerFacts, Owner, PoolRef } from '../drivers/driver.ts'
import { setPoolSpace } from '../store/capacity.ts'
import { recordEvents } from '../store/events.ts'
import { forgetLayer, layerChain, layerRefIfAny, publishLayer, reserveLayer } from '../store/layers.ts'
import { poolById } from '../store/pools.ts'
import { accountOfVm } from '../store/vms.ts'
import { setVolume, type Volume, volumesOf } from '../store/volumes.ts'
import { holdRoomOn } from '../store/volume-pools.ts'
import type { RecordContext, StepContext } from './define-job.ts'
import { plugData, unplugData } from './deploy-data.ts'
import type { DeployVm } from './deploy-vm.ts'
import { layerMade } from './layer-events.ts'
import { demandConfig, untilNothingMerges } from './snapshot-source.ts'
import { placementFactors } from './vm-steps.ts'

type Recording = RecordContext<DeployVm, object>
type Acting = StepContext<DeployVm, object>

export interface Base {
  readonly pool: StoragePoolId
  readonly cloneType: CloneType
  /** What the root disk stands on or is copied from; null where it begins empty. */
  readonly layer: LayerId | null
}

/** What the driver needs to make the disks, root first. */
export interface Disks {
  readonly owner: Owner
  /** What the root disk stands on or is copied from, with all that stands on; null where it begins empty. */
  readonly base: LayerChain | null
  readonly pool: PoolRef
  readonly sizes: readonly number[]
}

export async function reserveDisks(context: Recording, { pool, cloneType, layer: base }: Base): Promise<Disks> {
  const { tx, input, settings } = context
  await plugData(context)
  if (base && input.vmSnapshot) await untilNothingMerges(tx, base)
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
  const copy = await tx.selectFrom('layer').select('allocated_bytes').where('id', '=', base).executeTakeFirstOrThrow()
  await holdRoomOn(tx, placementFactors(settings), pool, copy.allocated_bytes)
  return copy.allocated_bytes
}

export async function unreserveDisks(context: Recording): Promise<void> {
  const { tx, input } = context
  await unplugData(context)
  for (const { volume, layer } of input.disks) {
    await setVolume(tx, volume, { layer_id: null })
    await forgetLayer(tx, layer)
  }
}

export async function makeDisks(
  context: Acting,
  cloneType: CloneType,
  { owner, base, pool, sizes }: Disks,
): Promise<LayerFacts[]> {
  const { db, driver, input, progress, signal } = context
  if (input.vmSnapshot) await demandConfig(context, input.vmSnapshot)
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

export async function publishDisks(
  { tx, input, job }: Recording,
  cloneType: CloneType,
  base: LayerChain | null,
  facts: readonly LayerFacts[],
): Promise<void> {
  for (const [index, { volume, layer }] of input.disks.entries()) {
    await publishLayer(tx, layer, facts[index] as LayerFacts)
    await setVolume(tx, volume, { state: 'Ready', attached: new Date() })
  }
  const made = (index: number) => (index > 0 || !base ? 'empty' : `a ${cloneType} clone of ${base.at(-1)?.id}`)
  await recordEvents(
    tx,
    input.disks.flatMap(({ volume, layer }, index) => [
      layerMade(job, layer, made(index)),
      {
        type: 'VOLUME.CREATE',
        description: `created volume ${volume}`,
        account: job.account_id,
        user: job.user_id,
        resourceType: 'Volume',
        resource: volume,
        startEvent: job.start_event_id,
      },
    ]),
  )
}
