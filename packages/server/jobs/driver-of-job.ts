// Which driver a job works with: that of the cluster which its machine, template, host, storage pool or layer is of, as its lock names it. All
// others work with the server's own. A job that had begun waits until its hypervisor can be reached: its undo would fail as well.
import type { ClusterId } from '@ramet/core/ids.ts'
import type { Driver } from '../drivers/driver.ts'
import type { Drivers } from '../drivers/drivers.ts'
import type { Db } from '../store/database.ts'
import type { Row } from '../store/tables.ts'

const tables = {
  vm: 'vm',
  template: 'template',
  host: 'host',
  pool: 'storage_pool',
  layer: 'layer',
  volume: 'volume',
} as const

export async function driverOfJob(db: Db, drivers: Drivers, job: Row<'job'>): Promise<Driver> {
  if (!drivers.hasForeign) return drivers.own
  const [kind = '', id = ''] = job.lock_key.split(':')
  const table = tables[kind as keyof typeof tables]
  const cluster = table ? await clusterOf(db, table, id) : null
  const trouble = drivers.troubleOf(cluster)
  if (trouble && job.fence > 1) throw trouble
  return drivers.of(cluster)
}

export async function clusterOf(
  db: Db,
  table: (typeof tables)[keyof typeof tables],
  id: string,
): Promise<ClusterId | null> {
  if (table === 'layer' || table === 'volume') return clusterOfStored(db, table, id)
  const row = await db
    .selectFrom(table)
    .select('cluster_id')
    .where('id', '=', id as never)
    .executeTakeFirst()
  return row?.cluster_id ?? null
}

/** Of the storage pool that it is on, or that its disk is on. */
async function clusterOfStored(db: Db, table: 'layer' | 'volume', id: string): Promise<ClusterId | null> {
  const row = await db
    .selectFrom(table)
    .innerJoin('storage_pool', 'storage_pool.id', `${table}.pool_id`)
    .select('storage_pool.cluster_id')
    .where(`${table}.id`, '=', id as never)
    .executeTakeFirst()
  return row?.cluster_id ?? null
}
