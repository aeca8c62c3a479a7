// Templates, their files on secondary storage and their copies on primary storage (`template_spool_ref`).
import { type Id, newId, type StoragePoolId, type TemplateId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Updateable } from 'kysely'
import type { ImageFacts } from '../drivers/driver.ts'
import type { Db, Tx } from './database.ts'
import type { Row, Tables } from './tables.ts'

export type Template = Row<'template'>

/** The template, if machines can be made of it now; the row stays so until the transaction ends. */
export async function activeTemplate(tx: Tx, id: TemplateId): Promise<Template> {
  const template = await tx.selectFrom('template').selectAll().where('id', '=', id).forShare().executeTakeFirst()
  if (!template || template.state !== 'Active')
    throw new Problem('invalid', 'template-deleted', `Template ${template?.name ?? id} has been deleted`)
  if (template.download_state !== 'DOWNLOADED')
    throw new Problem(
      'refused',
      'template-not-ready',
      `Template ${template.name} is not ready: ${template.error ?? template.download_state}`,
    )
  return template
}

/** Where the template's file is on secondary storage, and what it is. */
export async function imageFile(db: Db, id: TemplateId): Promise<{ file: string; format: ImageFacts['format'] }> {
  const row = await db
    .selectFrom('template')
    .innerJoin('image_store', 'image_store.id', 'template.image_store_id')
    .select(['path', 'install_path', 'format'])
    .where('template.id', '=', id)
    .executeTakeFirstOrThrow()
  return { file: `${row.path}/${row.install_path}`, format: row.format.toLowerCase() as ImageFacts['format'] }
}

export async function setTemplate(db: Db, id: TemplateId, set: Updateable<Tables['template']>): Promise<void> {
  await db.updateTable('template').set(set).where('id', '=', id).execute()
}

/** The record of the template's copy on the pool, made if missing, locked until the transaction ends. */
export async function holdSpoolRef(
  tx: Tx,
  template: TemplateId,
  pool: StoragePoolId,
): Promise<Row<'template_spool_ref'>> {
  await tx
    .insertInto('template_spool_ref')
    .values({ id: newId(), pool_id: pool, template_id: template, state: 'Allocated', download_state: 'NOT_DOWNLOADED' })
    .onConflict(conflict => conflict.columns(['pool_id', 'template_id']).doNothing())
    .execute()
  return tx
    .selectFrom('template_spool_ref')
    .selectAll()
    .where('template_id', '=', template)
    .where('pool_id', '=', pool)
    .forUpdate()
    .executeTakeFirstOrThrow()
}

export async function setSpoolRef(
  db: Db,
  id: Id<'template-spool-ref'>,
  set: Updateable<Tables['template_spool_ref']>,
): Promise<Row<'template_spool_ref'>> {
  return db
    .updateTable('template_spool_ref')
    .set({ ...set, last_updated: new Date() })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Records of copies of a deleted template that nobody makes and that have no layer. */
export async function forgetUnneededSpoolRefs(db: Db, template: TemplateId): Promise<void> {
  await db
    .deleteFrom('template_spool_ref')
    .where('template_id', '=', template)
    .where('marked_for_gc', '=', true)
    .where('state', '!=', 'Creating')
    .where('layer_id', 'is', null)
    .execute()
}

/** The records of all copies of the template, locked until the transaction ends. */
export async function holdSpoolRefs(tx: Tx, template: TemplateId): Promise<Row<'template_spool_ref'>[]> {
  return tx.selectFrom('template_spool_ref').selectAll().where('template_id', '=', template).forUpdate().execute()
}
