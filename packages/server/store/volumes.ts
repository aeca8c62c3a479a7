// Volumes on disk: what a machine's disk is to a person. The disk itself is the volume's active layer. A state changes only by a
// move of core/volume.ts, on the row as this transaction sees it.
import type { JobId, VmId, VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { volumeAfter, type VolumeEvent } from '@ramet/core/volume.ts'
import { sql, type Updateable } from 'kysely'
import type { Db, Tx } from './database.ts'
import { jobOn } from './jobs.ts'
import type { Row, Tables } from './tables.ts'
import { vmLock } from './vms.ts'

export type Volume = Row<'volume'>

/** A volume as a job is asked about it: where it was attached when the call was made. */
export interface OnVolume {
  readonly volume: VolumeId
  readonly vm: VmId | null
}

/** Jobs on one volume run one at a time; on one that is attached they are jobs on its machine. */
export function volumeLock({ volume, vm }: OnVolume): string {
  return vm ? vmLock(vm) : `volume:${volume}`
}

export async function volumesOf(db: Db, vm: VmId): Promise<Volume[]> {
  return db
    .selectFrom('volume')
    .selectAll()
    .where('vm_id', '=', vm)
    .where('removed', 'is', null)
    .orderBy('device_id')
    .execute()
}

export async function volumeById(db: Db, id: VolumeId): Promise<Volume | undefined> {
  return db.selectFrom('volume').selectAll().where('id', '=', id).where('removed', 'is', null).executeTakeFirst()
}

/** The volume's row, locked until the transaction ends. */
export async function holdVolume(tx: Tx, id: VolumeId): Promise<Volume> {
  const volume = await tx.selectFrom('volume').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
  if (!volume || volume.removed) throw new Problem('invalid', 'unknown-volume', `There is no volume ${id} any more`)
  return volume
}

/** The same, still where it was when the job was asked for. */
export async function holdVolumeAsAsked(tx: Tx, { volume: id, vm }: OnVolume): Promise<Volume> {
  const volume = await holdVolume(tx, id)
  if (volume.vm_id === vm) return volume
  const now = volume.vm_id ? 'attached to another machine' : 'detached'
  throw new Problem('refused', 'volume-moved', `Volume ${volume.name} has been ${now} meanwhile; ask again`)
}

/** Throws unless the volume is attached to nothing, and no job works on it. */
export async function demandLoose(tx: Tx, volume: Volume, self?: JobId): Promise<void> {
  if (volume.vm_id) throw await attached(tx, volume)
  const job = await jobOn(tx, volumeLock({ volume: volume.id, vm: null }))
  if (job && job.id !== self)
    throw new Problem(
      'refused',
      'volume-busy',
      `Volume ${volume.name} is busy: ${job.command} works on it; try again later`,
    )
}

async function attached(tx: Tx, volume: Volume): Promise<Problem> {
  const vm = await tx
    .selectFrom('vm')
    .select('name')
    .where('id', '=', volume.vm_id as VmId)
    .executeTakeFirst()
  return new Problem(
    'refused',
    'volume-attached',
    `Volume ${volume.name} is attached to virtual machine ${vm?.name}; detach it first`,
  )
}

/** Makes the move `event`, or throws when the volume's state has no such move. */
export async function moveVolume(
  tx: Tx,
  id: VolumeId,
  event: VolumeEvent,
  set: Updateable<Tables['volume']> = {},
): Promise<Volume> {
  const volume = await holdVolume(tx, id)
  const state = volumeAfter(volume.state, event)
  if (!state) throw wrongVolumeState(volume, event)
  await setVolume(tx, id, { ...set, state })
  return volume
}

export function wrongVolumeState({ name, state }: Volume, wanted: string): Problem {
  return new Problem('refused', 'wrong-volume-state', `Volume ${name} is ${state}; ${wanted} is not possible then`)
}

export function demandUnprotected(volume: Volume): void {
  if (volume.delete_protection)
    throw new Problem(
      'refused',
      'delete-protected',
      `Volume ${volume.name} is protected from deletion; lift that with updateVolume deleteprotection=false`,
    )
}

/** The same of the machine's root disk, which goes with it. */
export async function demandRootUnprotected(tx: Tx, vm: VmId): Promise<void> {
  for (const volume of await volumesOf(tx, vm)) if (volume.type === 'ROOT') demandUnprotected(volume)
}

export async function setVolume(db: Db, id: VolumeId, set: Updateable<Tables['volume']>): Promise<void> {
  await db.updateTable('volume').set(set).where('id', '=', id).execute()
}

/** The volume is gone for its owner; its layer is for the caller to remove. */
export async function retireVolume(db: Db, id: VolumeId): Promise<void> {
  await setVolume(db, id, { state: 'Expunged', removed: new Date(), layer_id: null })
}

/** Where the volume's uploaded file is; undefined for one that has none. */
export async function uploadedFile(db: Db, id: VolumeId): Promise<string | undefined> {
  const row = await db
    .selectFrom('volume')
    .innerJoin('image_store', 'image_store.id', 'volume.image_store_id')
    .select(['path', 'install_path'])
    .where('volume.id', '=', id)
    .executeTakeFirst()
  return row?.install_path ? `${row.path}/${row.install_path}` : undefined
}

/** An instant clone had each disk of the running machine leave a file behind. Answers how many the deepest consists of now. */
export async function deepen(tx: Tx, vm: VmId): Promise<number> {
  const volumes = await tx
    .updateTable('volume')
    .set({ disk_depth: sql`disk_depth + 1` })
    .where('vm_id', '=', vm)
    .where('removed', 'is', null)
    .returning('disk_depth')
    .execute()
  return Math.max(0, ...volumes.map(({ disk_depth }) => disk_depth ?? 0))
}
