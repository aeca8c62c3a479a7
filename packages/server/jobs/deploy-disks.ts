// The disks of a deployment: reserved in the database, made by the driver, published. A linked clone's root is a new layer
// on the copy of its template or VM snapshot, or right on the disk of that; a full clone's is a flat copy of it; data disks begin empty.
// A clone of another machine has all its disks that way (clone-node.ts).
import type { CloneType } from '@ramet/core/clone-type.ts'
import type { LayerId, StoragePoolId, VolumeId } from '@ramet/core/ids.ts'
import type { LayerChain, LayerFacts, LayerRef, Owner, PoolRef } from '../drivers/driver.ts'
import { setPoolSpace } from '../store/capacity.ts'
import { recordEvents } from '../store/events.ts'
import { chainBytes, forgetLayer, layerChain, layerRefIfAny, publishLayer, reserveLayer } from '../store/layers.ts'
import { poolById } from '../store/pools.ts'
import { accountOfVm } from '../store/vms.ts'
import { setVolume, type Volume, volumesOf } from '../store/volumes.ts'
import { holdRoomOn } from '../store/volume-pools.ts'
import { basesOfNode, type ClonedDisk, type CloneNode, demandMemoryFits } from './clone-node.ts'
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
  /** Whose the machine is that is cloned; a full clone may be another's. */
  readonly reader?: Owner
  /** What the disks behind the root are made of, in a clone of another machine; elsewhere they begin empty. */
  readonly data?: readonly LayerChain[]
}

export async function reserveDisks(context: Recording, { pool, cloneType, layer: base }: Base): Promise<Disks> {
  const { tx, input, settings } = context
  if (input.node) return reserveClone(context, input.node, cloneType)
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

/** As it was at the instant that is cloned, each disk on the storage of its own. */
async function reserveClone(context: Recording, node: CloneNode, cloneType: CloneType): Promise<Disks> {
  const { tx, input } = context
  const account = await accountOfVm(tx, input.vm)
  const bases = await basesOfNode(context, node)
  for (const [index, { layer: base, bytes, chain }] of bases.entries()) {
    const { volume, layer } = input.disks[index] as ClonedDisk
    const { pool } = topOf(chain)
    const expectedBytes = cloneType === 'full' ? await roomForCopy(context, pool.id, base) : 0
    const parent = cloneType === 'linked' ? base : null
    const reserved = { id: layer, pool: pool.id, parent, account: account.id, virtualBytes: bytes, expectedBytes }
    await reserveLayer(tx, reserved)
    await setVolume(tx, volume, { layer_id: layer })
  }
  const [root, ...data] = bases.map(({ chain }) => chain)
  if (!root) throw new Error(`there is no disk to be cloned for machine ${input.vm}`)
  const sizes = bases.map(({ bytes }) => bytes)
  const reader = { accountNumber: (await accountOfVm(tx, node.vm)).number }
  return { owner: { accountNumber: account.number }, reader, base: root, pool: topOf(root).pool, sizes, data }
}

function topOf(chain: LayerChain): LayerRef {
  return chain.at(-1) ?? chain[0]
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
  const bytes = await chainBytes(tx, base)
  await holdRoomOn(tx, placementFactors(settings), pool, bytes)
  return bytes
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
  { owner, reader, base, pool, sizes, data = [] }: Disks,
): Promise<LayerFacts[]> {
  const { db, driver, input, progress, signal } = context
  if (input.vmSnapshot) await demandConfig(context, input.vmSnapshot)
  if (input.node?.goesOn) await demandMemoryFits(context)
  const facts: LayerFacts[] = []
  for (const [index, { layer }] of input.disks.entries()) {
    const source = index === 0 ? base : data[index - 1]
    const [ref, bytes] = [{ id: layer, pool: source && input.node ? topOf(source).pool : pool }, sizes[index] as number]
    if (!source) facts.push(await driver.layers.blank(ref, bytes, owner))
    else if (cloneType === 'linked') facts.push(await driver.layers.fork(ref, source, bytes, owner))
    else facts.push(await driver.layers.copy(ref, source, bytes, owner, progress, signal, reader))
  }
  // The reservation ends when the copy is ready; from then on the pool itself must know of it.
  if (cloneType === 'full')
    for (const each of [pool, ...data.map(chain => topOf(chain).pool)])
      await setPoolSpace(db, each.id, await driver.pools.space(each))
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
  const made = (index: number) =>
    (index > 0 && !input.node) || !base
      ? 'empty'
      : `a ${cloneType} clone of ${index > 0 ? 'a disk of its source' : base.at(-1)?.id}`
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
