// Volumes on disk: what a machine's disk is to a person. The disk itself is the volume's active layer.
import type { VmId, VolumeId } from '@ramet/core/ids.ts'
import type { Updateable } from 'kysely'
import type { Db } from './database.ts'
import type { Row, Tables } from './tables.ts'

export type Volume = Row<'volume'>

export async function volumesOf(db: Db, vm: VmId): Promise<Volume[]> {
  return db
    .selectFrom('volume')
    .selectAll()
    .where('vm_id', '=', vm)
    .where('removed', 'is', null)
    .orderBy('device_id')
    .execute()
}

export async function setVolume(db: Db, id: VolumeId, set: Updateable<Tables['volume']>): Promise<void> {
  await db.updateTable('volume').set(set).where('id', '=', id).execute()
}

/** The volume is gone for its owner; its layer is for the caller to remove. */
export async function retireVolume(db: Db, id: VolumeId): Promise<void> {
  await setVolume(db, id, { state: 'Expunged', removed: new Date(), layer_id: null })
}
