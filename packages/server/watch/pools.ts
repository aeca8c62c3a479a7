// Keeps what is told of storage near the truth: the free space of pools, and how much the layers of running machines have
// grown. Looked at every few seconds; copies and placements that need more than that find out by themselves.
import { occupyingStates } from '@ramet/core/vm.ts'
import type { Driver } from '../drivers/driver.ts'
import type { Log } from '../log.ts'
import { setPoolSpace } from '../store/capacity.ts'
import type { Database } from '../store/database.ts'

export interface PoolWatch {
  refresh(): Promise<void>
  close(): void
}

export function watchPools(db: Database, driver: Driver, log: Log, everyMs = 10_000): PoolWatch {
  async function refresh(): Promise<void> {
    await refreshSpace(db, driver)
    await refreshLayers(db, driver, log)
  }
  const timer = setInterval(() => {
    refresh().catch(error => log.warn({ err: error }, 'cannot measure the storage pools'))
  }, everyMs)
  timer.unref()
  return { refresh, close: () => clearInterval(timer) }
}

async function refreshSpace(db: Database, driver: Driver): Promise<void> {
  const pools = await db.selectFrom('storage_pool').select(['id', 'path', 'total_bytes', 'free_bytes']).execute()
  for (const pool of pools) {
    const space = await driver.host.space(pool)
    if (space.totalBytes !== pool.total_bytes || space.freeBytes !== pool.free_bytes)
      await setPoolSpace(db, pool.id, space)
  }
}

async function refreshLayers(db: Database, driver: Driver, log: Log): Promise<void> {
  const layers = await db
    .selectFrom('layer')
    .innerJoin('volume', 'volume.layer_id', 'layer.id')
    .innerJoin('vm', 'vm.id', 'volume.vm_id')
    .innerJoin('storage_pool', 'storage_pool.id', 'layer.pool_id')
    .select(['layer.id', 'layer.allocated_bytes', 'storage_pool.id as pool', 'storage_pool.path'])
    .where('layer.state', '=', 'ready')
    .where('vm.state', 'in', [...occupyingStates])
    .execute()
  for (const { id, allocated_bytes: known, pool, path } of layers) {
    // One layer that cannot be measured, for its guest has spoilt it, must not hide the others.
    const facts = await driver.layers.facts({ id, pool: { id: pool, path } }).catch(error => {
      log.warn({ err: error, layer: id }, 'cannot measure a layer')
      return null
    })
    if (facts && facts.allocatedBytes !== known)
      await db.updateTable('layer').set({ allocated_bytes: facts.allocatedBytes }).where('id', '=', id).execute()
  }
}
