// What deleting a VM snapshot would do, for people to read before they do it: made by the same pure function that does it.
import { afterRemoval, costOf, planRemoval, type RemovalStep, unnamed } from '@ramet/core/layer.ts'
import type { Db } from '../store/database.ts'
import { mergeLock } from '../store/layer-removal.ts'
import { forestAround } from '../store/layers.ts'
import { seedLayers } from '../store/vm-snapshot-seeds.ts'
import { disksOf, type VmSnapshot, vmSnapshotsOf } from '../store/vm-snapshots.ts'
import type { Answer } from './command.ts'

export async function planOfDeletion(db: Db, snapshot: VmSnapshot): Promise<Answer> {
  const seeds = await seedLayers(db, snapshot.id)
  const layers = [...(await disksOf(db, snapshot.id)).map(({ layer_id }) => layer_id), ...seeds]
  let forest = unnamed(await forestAround(db, layers), layers)
  let [movedBytes, freedBytes] = [0, 0]
  const steps: Answer[] = []
  for (const layer of layers) {
    const plan = await asFarAsNow(db, planRemoval(forest, layer))
    const cost = costOf(forest, plan)
    movedBytes += cost.movedBytes
    freedBytes += cost.freedBytes
    for (const step of plan) steps.push({ ...onWire(step), bytes: forest.get(step.layer)?.bytes ?? 0 })
    forest = afterRemoval(forest, plan)
  }
  const memory = await memoryBytes(db, snapshot)
  const dependents = (await vmSnapshotsOf(db, snapshot.vm_id)).filter(({ parent_id }) => parent_id === snapshot.id)
  return {
    vmsnapshotid: snapshot.id,
    steps,
    movedbytes: movedBytes,
    freedbytes: freedBytes + memory,
    memorybytes: memory,
    dependents: dependents.map(({ id, display_name }) => ({ id, displayname: display_name })),
    current: snapshot.is_current,
  }
}

/** What other machines stand on too is not merged before they are gone (store/layer-removal.ts). */
async function asFarAsNow(db: Db, plan: RemovalStep[]): Promise<RemovalStep[]> {
  const [first] = plan
  if (first?.op !== 'merge' || (await mergeLock(db, first.into)) !== null) return plan
  return [{ op: 'keep-hidden', layer: first.layer }]
}

function onWire(step: RemovalStep): Answer {
  return { operation: step.op, layer: step.layer, ...(step.op === 'merge' && { into: step.into }) }
}

async function memoryBytes(db: Db, { memory_image_id: id }: VmSnapshot): Promise<number> {
  if (!id) return 0
  const image = await db.selectFrom('memory_image').select('allocated_bytes').where('id', '=', id).executeTakeFirst()
  return image?.allocated_bytes ?? 0
}
