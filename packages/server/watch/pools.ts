// Keeps the pools' free space in the database near the truth: every few seconds, and when somebody asks.
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
    const pools = await db.selectFrom('storage_pool').select(['id', 'path', 'total_bytes', 'free_bytes']).execute()
    for (const pool of pools) {
      const space = await driver.host.space(pool)
      if (space.totalBytes !== pool.total_bytes || space.freeBytes !== pool.free_bytes)
        await setPoolSpace(db, pool.id, space)
    }
  }
  const timer = setInterval(() => {
    refresh().catch(error => log.warn({ err: error }, 'cannot measure the storage pools'))
  }, everyMs)
  timer.unref()
  return { refresh, close: () => clearInterval(timer) }
}
