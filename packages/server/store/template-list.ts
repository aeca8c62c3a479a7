// Templates with everything that a list shows of them, their copies on primary storage included.
import type { TemplateId } from '@ramet/core/ids.ts'
import { sql } from 'kysely'
import { jsonArrayFrom } from 'kysely/helpers/postgres'
import type { Db } from './database.ts'
import { tagsIn } from './tags.ts'

export function selectTemplates(db: Db) {
  return db
    .selectFrom('template')
    .innerJoin('account', 'account.id', 'template.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .innerJoin('zone', 'zone.id', 'template.zone_id')
    .leftJoin('os_type', 'os_type.id', 'template.os_type_id')
    .selectAll('template')
    .select([
      'account.name as account_name',
      'domain.id as domain_id',
      'domain.name as domain_name',
      'zone.name as zone_name',
      'os_type.description as os_type_name',
    ])
    .select(eb => [
      jsonArrayFrom(
        eb
          .selectFrom('template_spool_ref as ref')
          .innerJoin('storage_pool as pool', 'pool.id', 'ref.pool_id')
          .select(['ref.pool_id', 'pool.name as pool_name', 'ref.download_state', 'ref.download_pct', 'ref.error_str'])
          .whereRef('ref.template_id', '=', 'template.id')
          .where('ref.marked_for_gc', '=', false)
          .orderBy('pool.name'),
      ).as('copies'),
      eb
        .selectFrom('job')
        .select('job.id')
        .whereRef('job.lock_key', '=', sql<string>`'template:' || template.id`)
        .where('job.completed', 'is', null)
        .orderBy('job.sequence')
        .limit(1)
        .as('job_id'),
      tagsIn(db, 'template.id').as('tags'),
    ])
}

export type ListedTemplate = Awaited<ReturnType<ReturnType<typeof selectTemplates>['execute']>>[number]

export async function listedTemplate(db: Db, id: TemplateId): Promise<ListedTemplate | undefined> {
  return selectTemplates(db).where('template.id', '=', id).executeTakeFirst()
}
