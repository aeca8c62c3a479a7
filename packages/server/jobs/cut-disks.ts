// A cut: every disk of a machine gets a new, empty layer at one instant, and what it wrote until then holds still. VM snapshots and
// volume snapshots begin with it. Of a machine that is off only the records move, since nobody writes.
//
// The dangerous moment is between the cut and the record of it. One rule settles it: an empty layer shows exactly what it stands
// on. So the hypervisor is asked what the machine really writes, and of a machine that is off the new layers are taken for the active
// ones, whether the cut was made or not: nothing can be lost that way (docs/decisions/0014). The same where the hypervisor does not
// answer; who comes to merge the old layer finds out later (uncut.ts).
import { type LayerId, type MemoryImageId, newId, type VmId, type VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { CutFacts, DiskCut, LayerFacts } from '../drivers/driver.ts'
import type { Tx } from '../store/database.ts'
import { LeaseLost } from '../store/jobs.ts'
import {
  forgetLayer,
  layerChain,
  layerRef,
  layerRefIfAny,
  noteWriter,
  publishLayer,
  reserveLayer,
} from '../store/layers.ts'
import { memoryRef } from '../store/memory-images.ts'
import { demandPoolServesDisks } from '../store/pools.ts'
import { setVolume, type Volume } from '../store/volumes.ts'
import type { RecordContext, StepContext } from './define-job.ts'
import { diskOf, machineSpec, ownerOf } from './machine-spec.ts'
import { removeIfUnneeded } from './remove-layer.ts'
import { originOf } from './tools.ts'

export interface CutDisk {
  readonly volume: VolumeId
  readonly deviceId: number
  readonly bytes: number
  /** What the disk stands on from the cut on. */
  readonly old: LayerId
  /** What it writes from then on. */
  readonly layer: LayerId
}

type Acting = StepContext<{ readonly vm: VmId | null }, object>
type Recording = RecordContext<object, object>

/** Names a new layer for each disk; the old ones cannot go from this moment. */
export async function reserveCut(tx: Tx, volumes: readonly Volume[]): Promise<CutDisk[]> {
  const disks: CutDisk[] = []
  for (const { id, name, state, layer_id, device_id, pool_id, account_id, size_bytes } of volumes) {
    if (state !== 'Ready' || !layer_id || !pool_id)
      throw new Problem('refused', 'volume-not-ready', `Volume ${name} of the machine is ${state}; it must be Ready`)
    await demandPoolServesDisks(tx, pool_id)
    const layer = newId<'layer'>()
    await reserveLayer(tx, {
      id: layer,
      pool: pool_id,
      parent: layer_id,
      account: account_id,
      virtualBytes: size_bytes,
      expectedBytes: emptyLayerBytes,
    })
    disks.push({ volume: id, deviceId: device_id ?? 0, bytes: size_bytes, old: layer_id, layer })
  }
  return disks
}

const emptyLayerBytes = 256 * 1024

export async function forkDisks(
  { db, driver }: Acting,
  disks: readonly Omit<CutDisk, 'deviceId'>[],
): Promise<LayerFacts[]> {
  const facts: LayerFacts[] = []
  for (const { volume, old, layer, bytes } of disks) {
    const [ref, base, owner] = [await layerRef(db, layer), await layerChain(db, old), await ownerOf(db, volume)]
    facts.push(await driver.layers.fork(ref, base, bytes, owner))
  }
  return facts
}

/** What the layers hold that are not written any more, or will not be: nobody measures them later. */
export async function measureOld({ db, driver }: Acting, disks: readonly CutDisk[]): Promise<(LayerFacts | null)[]> {
  const facts: (LayerFacts | null)[] = []
  for (const { old } of disks) facts.push(await driver.layers.facts(await layerRef(db, old)))
  return facts
}

/** Removes the new layers, but for those that a disk writes by now. */
export async function unforkDisks({ db, driver }: Acting, disks: readonly Pick<CutDisk, 'layer'>[]): Promise<void> {
  for (const { layer } of disks) {
    const isActive = await db.selectFrom('volume').select('id').where('layer_id', '=', layer).executeTakeFirst()
    const ref = isActive ? undefined : await layerRefIfAny(db, layer)
    if (ref) await driver.layers.discard(ref)
  }
}

/**
 * Makes the cut on a machine that runs; one that went off meanwhile needs none, unless its memory was wanted. `inHostMemory`:
 * that is for clones that start now.
 */
export async function cutDisks(
  { db, driver, settings, progress, signal }: Acting,
  vm: VmId,
  disks: readonly CutDisk[],
  memory: MemoryImageId | null,
  quiesce: boolean,
  inHostMemory = false,
): Promise<CutFacts> {
  if (!memory && (await driver.machines.activeLayers(vm)) === null)
    return { stunMs: null, quiesced: null, memory: null }
  const cuts = await Promise.all(
    disks.map(async ({ volume, layer }) => ({ disk: await diskOf(db, volume), layer: await layerRef(db, layer) })),
  )
  const cut = { disks: cuts as [DiskCut, ...DiskCut[]], quiesce }
  if (!memory) return driver.machines.cut(vm, { ...cut, memory: null }, progress, signal)
  const machine = await machineSpec(db, vm, settings.flag('guest.network.outward'))
  return driver.machines.cut(
    vm,
    { ...cut, memory: await memoryRef(db, memory), machine, inHostMemory },
    progress,
    signal,
  )
}

/** Null where the machine is off, or nobody knows. A job waits for no hypervisor that is silent: it would keep the machine from being stopped. */
async function writtenNow(driver: Acting['driver'], vm: VmId): Promise<ReadonlyMap<number, LayerId> | null> {
  try {
    return await driver.machines.activeLayers(vm)
  } catch (error) {
    if (error instanceof Problem && error.kind === 'unavailable' && !(error instanceof LeaseLost)) return null
    throw error
  }
}

/** Where the machine writes a new layer, or is off, that is the disk's active layer now. Elsewhere all is as before. */
export async function settleCut({ db, driver }: Acting, vm: VmId, disks: readonly CutDisk[]): Promise<void> {
  const active = await writtenNow(driver, vm)
  for (const { volume, deviceId, old, layer } of disks) {
    if (active && active.get(deviceId) !== layer) continue
    const facts = await driver.layers.facts(await layerRef(db, layer))
    if (!facts) continue // it was never made, so nobody writes it
    await db.transaction().execute(async tx => {
      await tx
        .updateTable('volume')
        .set({ layer_id: layer })
        .where('id', '=', volume)
        .where('layer_id', '=', old)
        .execute()
      await publishLayer(tx, layer, facts)
    })
  }
}

/** From here on the disks write the new layers. */
export async function publishCut(
  tx: Tx,
  disks: readonly CutDisk[],
  facts: readonly LayerFacts[],
  ofOld: readonly (LayerFacts | null)[] = [],
): Promise<void> {
  for (const [index, { volume, layer, old }] of disks.entries()) {
    await publishLayer(tx, layer, facts[index] as LayerFacts)
    const held = ofOld[index]
    if (held) await publishLayer(tx, old, held)
    await noteWriter(tx, old, volume)
    await setVolume(tx, volume, { layer_id: layer })
  }
}

/** Forgets the layers that no disk writes; where one does, what it stands on may have lost its last name. */
export async function unreserveCut({ tx, jobs, job }: Recording, disks: readonly CutDisk[]): Promise<void> {
  for (const { volume, old, layer } of disks) {
    const { layer_id: active } = await tx
      .selectFrom('volume')
      .select('layer_id')
      .where('id', '=', volume)
      .executeTakeFirstOrThrow()
    if (active === layer) await removeIfUnneeded(tx, old, jobs, { ...originOf(job), command: 'removeLayer' })
    else await forgetLayer(tx, layer)
  }
}
