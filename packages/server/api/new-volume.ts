// What a new volume is asked to be, judged before anything is written.
import { type DiskOfferingId, type Id, newId, type StoragePoolId, type ZoneId } from '@ramet/core/ids.ts'
import { labelRefusal } from '@ramet/core/names.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import type { Tx } from '../store/database.ts'
import type { Row } from '../store/tables.ts'
import type { Volume } from '../store/volumes.ts'
import { unknownId } from './caller.ts'
import { invalid } from './parameters.ts'

export const gib = 2 ** 30

export async function diskOfferingNamed(app: App, id: DiskOfferingId): Promise<Row<'disk_offering'>> {
  const offering = await app.db
    .selectFrom('disk_offering')
    .selectAll()
    .where('id', '=', id)
    .where('removed', 'is', null)
    .executeTakeFirst()
  if (!offering) throw unknownId('diskofferingid', id)
  return offering
}

/** The bytes of a disk of `offering`: its own size, or the one given where it leaves that open. */
export function bytesOf(offering: Row<'disk_offering'>, sizeGib: number | undefined): number {
  if (offering.size_bytes !== null && sizeGib !== undefined)
    throw invalid('size', `is fixed by the disk offering ${offering.name}; leave it out`)
  if (offering.size_bytes === null && sizeGib === undefined)
    throw invalid('size', `is needed with the disk offering ${offering.name}`)
  return offering.size_bytes ?? (sizeGib as number) * gib
}

export function demandLabel(name: string | undefined): void {
  const refusal = name === undefined ? null : labelRefusal(name)
  if (refusal) throw invalid('name', refusal)
}

/** The pool that parameter `storageid` names, if it is in the zone. */
export async function poolInZone(app: App, id: StoragePoolId, zone: ZoneId): Promise<StoragePoolId> {
  const pool = await app.db
    .selectFrom('storage_pool')
    .innerJoin('cluster', 'cluster.id', 'storage_pool.cluster_id')
    .innerJoin('pod', 'pod.id', 'cluster.pod_id')
    .select(['storage_pool.id', 'storage_pool.name', 'pod.zone_id'])
    .where('storage_pool.id', '=', id)
    .executeTakeFirst()
  if (!pool) throw unknownId('storageid', id)
  if (pool.zone_id !== zone) throw invalid('storageid', `names ${pool.name}, which is in another zone`)
  return pool.id
}

/** A secondary storage of the zone that can be written; the one named, if any. */
export async function storeForVolumes(
  app: App,
  zone: ZoneId,
  named?: Id<'image-store'>,
): Promise<Pick<Row<'image_store'>, 'id' | 'path'>> {
  let stores = app.db
    .selectFrom('image_store')
    .select(['id', 'path'])
    .where('zone_id', '=', zone)
    .where('removed', 'is', null)
    .orderBy('created')
  if (named) stores = stores.where('id', '=', named)
  else stores = stores.where('read_only', '=', false).where('problem', 'is', null)
  const store = await stores.executeTakeFirst()
  if (store) return store
  if (named) throw unknownId('imagestoreuuid', named)
  throw new Problem('no-capacity', 'no-store', 'The zone has no secondary storage that can be written; add one')
}

export async function insertVolume(
  tx: Tx,
  owner: Row<'account'>,
  volume: Partial<Volume> & Pick<Volume, 'zone_id' | 'size_bytes' | 'state'>,
): Promise<Volume> {
  const row = await tx
    .insertInto('volume')
    .values({ id: newId(), account_id: owner.id, type: 'DATADISK', ...volume, name: volume.name || 'DATA' })
    .returningAll()
    .executeTakeFirstOrThrow()
  if (volume.name) return row
  const name = `DATA-${row.number}`
  await tx.updateTable('volume').set({ name }).where('id', '=', row.id).execute()
  return { ...row, name }
}
