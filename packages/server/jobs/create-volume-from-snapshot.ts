// Makes a volume that begins with content: a disk as a VM snapshot has it, or a volume's snapshot on secondary storage. Of a VM
// snapshot it is linked, a new layer on the snapshot's, or full, a flat copy of it, on the same storage either way; the snapshot can
// be deleted afterwards, for its layer stays while anything stands on it. What fails leaves no volume, rather than an empty one.
import { type CloneType, decideCloneType, fullCloneSetting } from '@ramet/core/clone-type.ts'
import type { LayerId, SnapshotId, StoragePoolId, VmId, VolumeId } from '@ramet/core/ids.ts'
import { mostLayers } from '@ramet/core/layer.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { LayerFacts, LayerRef, Owner } from '../drivers/driver.ts'
import { requireStore } from '../images/store.ts'
import { setPoolSpace } from '../store/capacity.ts'
import type { Tx } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import {
  chainBytes,
  forgetLayer,
  layerChain,
  layerRef,
  layerRefIfAny,
  publishLayer,
  reserveLayer,
} from '../store/layers.ts'
import { demandPoolTakesDisks } from '../store/pools.ts'
import { snapshotFile, usableSnapshot } from '../store/snapshots.ts'
import { holdVm, vmLock } from '../store/vms.ts'
import { type DiskThen, diskThen, usableVmSnapshot } from '../store/vm-snapshots.ts'
import { choosePool, choosePoolInZone, holdRoomOn } from '../store/volume-pools.ts'
import { holdVolume, moveVolume, retireVolume, setVolume, type Volume } from '../store/volumes.ts'
import { defineJob, nothing, type RecordContext, type StepContext } from './define-job.ts'
import { snapshotLock } from './delete-snapshot.ts'
import { layerMade } from './layer-events.ts'
import { ownerOf } from './machine-spec.ts'
import { placementFactors } from './vm-steps.ts'

interface FromDisk extends DiskThen {
  /** Null: the storage pool or the global setting decides. */
  readonly cloneType: CloneType | null
  /** Made for its deployment: when that fails, nobody wants the volume. */
  readonly machine?: VmId
}

/** A snapshot on secondary storage. */
interface FromFile {
  readonly snapshot: SnapshotId
  /** Whose hosts must reach the storage that is chosen; null: any host of the zone. */
  readonly reach: VmId | null
}

export interface CreateVolumeFromSnapshot {
  /** Its record is there: Creating, so that nobody takes it for an empty one. */
  readonly volume: VolumeId
  /** To be made. */
  readonly layer: LayerId
  readonly source: FromDisk | FromFile
}

export const createVolumeFromSnapshot = defineJob<CreateVolumeFromSnapshot>({
  kind: 'create-volume-from-snapshot',
  event: 'VOLUME.CREATE',
  doing: 'creating volume from snapshot',
  instanceType: 'Volume',
  cancellable: true,
  lock: ({ source }) => ('snapshot' in source ? snapshotLock(source.snapshot) : vmLock(source.vm)),
  onLayers: true,
  instance: input => input.volume,
})
  .record('begin', {
    do: begin,
    undo: async ({ tx, input }) => {
      await setVolume(tx, input.volume, { layer_id: null })
      await forgetLayer(tx, input.layer)
    },
  })
  .act('make-disk', {
    do: async context => makeDisk(context, context.made.begin),
    undo: async ({ db, driver, input }) => {
      const layer = await layerRefIfAny(db, input.layer)
      if (layer) await driver.layers.discard(layer)
    },
  })
  .record('publish', {
    do: async ({ tx, input, made, job }) => {
      if ('machine' in input.source && input.source.machine) await demandAwaited(tx, input.source.machine)
      const { base, isLinked } = made.begin
      const what = base
        ? `a ${isLinked ? 'linked' : 'full'} clone of ${base}`
        : 'a copy of a snapshot on secondary storage'
      await recordEvent(tx, layerMade(job, input.layer, what))
      await publishLayer(tx, input.layer, made['make-disk'])
      await moveVolume(tx, input.volume, 'OperationSucceeded', { size_bytes: made['make-disk'].virtualBytes })
    },
    undo: nothing('nothing follows it'),
  })
  .whenItFails(async ({ tx, input }) => retireVolume(tx, input.volume))

type Recording = RecordContext<CreateVolumeFromSnapshot, object>

interface Begun {
  /** What the disk is made of; null: a file on secondary storage. */
  readonly base: LayerId | null
  readonly isLinked: boolean
  readonly pool: StoragePoolId
  /** What it is going to occupy. */
  readonly bytes: number
}

async function begin(context: Recording): Promise<Begun> {
  const { tx, input } = context
  const volume = await holdVolume(tx, input.volume)
  const { source } = input
  const begun =
    'snapshot' in source ? await ofSnapshot(context, volume, source) : await ofVmSnapshot(context, volume, source)
  await reserveLayer(tx, {
    id: input.layer,
    pool: begun.pool,
    parent: begun.isLinked ? begun.base : null,
    account: volume.account_id,
    virtualBytes: volume.size_bytes,
    expectedBytes: begun.bytes,
  })
  await setVolume(tx, volume.id, { pool_id: begun.pool, layer_id: input.layer })
  return begun
}

async function ofSnapshot({ tx, settings }: Recording, volume: Volume, source: FromFile): Promise<Begun> {
  const { physical_bytes: bytes } = await usableSnapshot(tx, source.snapshot)
  const factors = placementFactors(settings)
  const pool = source.reach
    ? await choosePool(tx, factors, await holdVm(tx, source.reach), volume, bytes)
    : await choosePoolInZone(tx, factors, volume, bytes)
  return { base: null, isLinked: false, pool, bytes }
}

async function ofVmSnapshot({ tx, settings }: Recording, volume: Volume, source: FromDisk): Promise<Begun> {
  const { hypervisor } = await holdVm(tx, source.vm)
  await usableVmSnapshot(tx, source.vmSnapshot)
  const { layer_id: base } = await diskThen(tx, source)
  const [{ pool }, depth] = [await layerRef(tx, base), (await layerChain(tx, base)).length]
  await demandPoolTakesDisks(tx, pool.id)
  const wanted = decideCloneType({
    call: source.cloneType ?? undefined,
    createFullClone: settings.flag(fullCloneSetting[hypervisor], pool.id),
  })
  if (wanted === 'linked' && depth < mostLayers) return { base, isLinked: true, pool: pool.id, bytes: 0 }
  if (source.cloneType === 'linked') throw tooDeep(volume, depth)
  const bytes = await chainBytes(tx, base)
  await holdRoomOn(tx, placementFactors(settings), pool.id, bytes)
  return { base, isLinked: false, pool: pool.id, bytes }
}

function tooDeep({ name }: Volume, depth: number): Problem {
  return new Problem(
    'refused',
    'chain-too-long',
    `Volume ${name} would stand on ${depth} disk layers, and ${mostLayers - 1} are the most; ask for clonetype=full`,
  )
}

async function demandAwaited(tx: Tx, id: VmId): Promise<void> {
  const { name, state } = await holdVm(tx, id)
  if (['Error', 'Destroyed', 'Expunging'].includes(state))
    throw new Problem('refused', 'machine-failed', `Virtual machine ${name}, for which it was to be made, is ${state}`)
}

type Acting = StepContext<CreateVolumeFromSnapshot, object>

async function makeDisk(context: Acting, { base, isLinked }: Begun): Promise<LayerFacts> {
  const { db, driver, input, progress, signal } = context
  const { size_bytes: bytes } = await db
    .selectFrom('volume')
    .select('size_bytes')
    .where('id', '=', input.volume)
    .executeTakeFirstOrThrow()
  const [layer, owner] = [await layerRef(db, input.layer), await ownerOf(db, input.volume)]
  if (base && isLinked) return driver.layers.fork(layer, await layerChain(db, base), bytes, owner)
  const facts = base
    ? await driver.layers.copy(layer, await layerChain(db, base), bytes, owner, progress, signal)
    : await seed(context, layer, bytes, owner)
  // The reservation ends when the copy is ready; from then on the pool itself must know of it.
  await setPoolSpace(db, layer.pool.id, await driver.pools.space(layer.pool))
  return facts
}

async function seed(context: Acting, layer: LayerRef, bytes: number, owner: Owner): Promise<LayerFacts> {
  const { db, driver, input, progress, signal } = context
  const { file, store } = await snapshotFile(db, (input.source as FromFile).snapshot)
  await requireStore(store)
  const facts = await driver.layers.seed(layer, file, 'qcow2', owner, progress, signal)
  return facts.virtualBytes < bytes ? driver.layers.resize([layer], bytes, owner) : facts
}
