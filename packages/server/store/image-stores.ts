// Secondary storage on disk: where new images go.
import type { TemplateId, ZoneId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { sql } from 'kysely'
import type { Db, Tx } from './database.ts'
import { selectImageStores } from './infrastructure.ts'
import type { Row } from './tables.ts'

/** The store of the zone with the most room, of those that are there and take anything new; it stays until `tx` ends. */
export async function roomiestStore(db: Tx, zone: ZoneId): Promise<Row<'image_store'>> {
  const store = await selectImageStores(db)
    .where('image_store.zone_id', '=', zone)
    .where('read_only', '=', false)
    .where('image_store.problem', 'is', null)
    .orderBy('image_store.free_bytes', 'desc')
    .orderBy('image_store.created')
    .forShare('image_store')
    .executeTakeFirst()
  if (store) return store
  throw new Problem(
    'no-capacity',
    'no-image-store',
    'The zone has no secondary storage that is there and may be written; add one with addImageStore',
  )
}

/** The store in which the image's file is, or is to be. */
export async function storeOfImage(db: Db, template: TemplateId): Promise<Row<'image_store'>> {
  return db
    .selectFrom('image_store')
    .innerJoin('template', 'template.image_store_id', 'image_store.id')
    .selectAll('image_store')
    .where('template.id', '=', template)
    .executeTakeFirstOrThrow()
}

/** The store that a file is in, or is to be; undefined where it is in none. */
export async function storeOfFile(db: Db, file: string): Promise<Row<'image_store'> | undefined> {
  return db
    .selectFrom('image_store')
    .selectAll()
    .where('removed', 'is', null)
    .where(sql<boolean>`starts_with(${file}, path || '/')`)
    .executeTakeFirst()
}
