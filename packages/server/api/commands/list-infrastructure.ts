import type { Database } from '../../store/database.ts'
import type { Tables } from '../../store/tables.ts'
import { objectCommand } from '../command.ts'
import { infrastructureView } from '../views/infrastructure.ts'

export const listInfrastructure = objectCommand({
  name: 'listInfrastructure',
  description: 'Counts zones, hosts, storage and the rest',
  permission: 'admin',
  params: {},
  view: infrastructureView,
  run: async ({ app: { db } }) => ({
    zones: await countPresent(db, 'zone'),
    pods: await countPresent(db, 'pod'),
    clusters: await countPresent(db, 'cluster'),
    hosts: await countOf(db, 'host'),
    storagePools: await countOf(db, 'storage_pool'),
    imageStores: await countPresent(db, 'image_store'),
  }),
})

async function countOf(db: Database, table: keyof Tables): Promise<number> {
  const { count } = await db
    .selectFrom(table)
    .select(eb => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return count
}

async function countPresent(db: Database, table: 'zone' | 'pod' | 'cluster' | 'image_store'): Promise<number> {
  const { count } = await db
    .selectFrom(table)
    .select(eb => eb.fn.countAll<number>().as('count'))
    .where('removed', 'is', null)
    .executeTakeFirstOrThrow()
  return count
}
