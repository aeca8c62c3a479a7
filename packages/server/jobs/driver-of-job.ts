// Which driver a job works with: that of the cluster which its machine, template, host, storage pool or layer is of, as its lock names it. All
// others work with the server's own. A job that had begun waits until its hypervisor can be reached: its undo would fail as well.
import type { ClusterId, LayerId } from '@ramet/core/ids.ts'
import type { Driver } from '../drivers/driver.ts'
import type { Drivers } from '../drivers/drivers.ts'
import type { Db } from '../store/database.ts'
import type { Row } from '../store/tables.ts'

const tables = { vm: 'vm', template: 'template', host: 'host', pool: 'storage_pool', layer: 'layer' } as const

export async function driverOfJob(db: Db, drivers: Drivers, job: Row<'job'>): Promise<Driver> {
  if (!drivers.hasForeign) return drivers.own
  const [kind = '', id = ''] = job.lock_key.split(':')
  const table = tables[kind as keyof typeof tables]
  const cluster = kind === 'volume' ? await clusterOfVolume(db, id) : table ? await clusterOf(db, table, id) : null
  const trouble = drivers.troubleOf(cluster)
  if (trouble && job.fence > 1) throw trouble
  return drivers.of(cluster)
}

/** Of the storage pool that its disk is on. */
async function clusterOfVolume(db: Db, id: string): Promise<ClusterId | null> {
  const row = await db
    .selectFrom('volume')
    .innerJoin('storage_pool', 'storage_pool.id', 'volume.pool_id')
    .select('storage_pool.cluster_id')
    .where('volume.id', '=', id as never)
    .executeTakeFirst()
  return row?.cluster_id ?? null
}

export async function clusterOf(
  db: Db,
  table: (typeof tables)[keyof typeof tables],
  id: string,
): Promise<ClusterId | null> {
  if (table === 'layer') return clusterOfLayer(db, id)
  const row = await db
    .selectFrom(table)
    .select('cluster_id')
    .where('id', '=', id as never)
    .executeTakeFirst()
  return row?.cluster_id ?? null
}

/** Of the storage pool that it is on. */
async function clusterOfLayer(db: Db, id: string): Promise<ClusterId | null> {
  const row = await db
    .selectFrom('layer')
    .innerJoin('storage_pool', 'storage_pool.id', 'layer.pool_id')
    .select('storage_pool.cluster_id')
    .where('layer.id', '=', id as LayerId)
    .executeTakeFirst()
  return row?.cluster_id ?? null
}
