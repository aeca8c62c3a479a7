// Keeps what is told of storage near the truth: the free space of pools, and how much the layers of running machines have
// grown. Looked at every few seconds; copies and placements that need more than that find out by themselves.
import { asProblem } from '@ramet/core/problem.ts'
import type { LayerId } from '@ramet/core/ids.ts'
import { occupyingStates } from '@ramet/core/vm.ts'
import type { Driver, Space } from '../drivers/driver.ts'
import type { Drivers } from '../drivers/drivers.ts'
import type { Log } from '../log.ts'
import { setPoolSpace } from '../store/capacity.ts'
import type { Database } from '../store/database.ts'
import { setPool } from '../store/pools.ts'

export interface PoolWatch {
  refresh(): Promise<void>
  close(): void
}

export function watchPools(db: Database, drivers: Drivers, log: Log, everyMs = 10_000): PoolWatch {
  let measured: LayerId | null = null
  async function refresh(): Promise<void> {
    await refreshSpace(db, drivers, log)
    measured = await refreshLayers(db, drivers.own, log, measured)
  }
  const timer = setInterval(() => {
    refresh().catch(error => log.warn({ err: error }, 'cannot measure the storage pools'))
  }, everyMs)
  timer.unref()
  return { refresh, close: () => clearInterval(timer) }
}

/** A pool that cannot be measured is not there: it is shown as Down and gets no work, until it is back. */
async function refreshSpace(db: Database, drivers: Drivers, log: Log): Promise<void> {
  for (const pool of await db.selectFrom('storage_pool').selectAll().execute()) {
    if (drivers.isForeign(pool.cluster_id)) continue // it is told of (clusters.ts)
    const { problem, ...space } = await look(drivers.own.pools.space(pool))
    if (problem !== pool.problem) {
      log.warn({ pool: pool.name, problem }, problem ? 'a storage pool is not there' : 'a storage pool is back')
      await setPool(db, pool.id, { problem })
    }
    if ('totalBytes' in space && (space.totalBytes !== pool.total_bytes || space.freeBytes !== pool.free_bytes))
      await setPoolSpace(db, pool.id, space)
  }
}

async function look(measuring: Promise<Space>): Promise<(Space & { problem: null }) | { problem: string }> {
  return measuring.then(
    space => ({ ...space, problem: null }),
    error => ({ problem: asProblem(error).message }),
  )
}

const layersAtOnce = 500

/** Of very many layers some each time, going on after the last one; null when all had their turn. */
async function refreshLayers(db: Database, driver: Driver, log: Log, after: LayerId | null): Promise<LayerId | null> {
  const layers = await db
    .selectFrom('layer')
    .innerJoin('volume', 'volume.layer_id', 'layer.id')
    .innerJoin('vm', 'vm.id', 'volume.vm_id')
    .innerJoin('storage_pool', 'storage_pool.id', 'layer.pool_id')
    .select(['layer.id', 'layer.allocated_bytes', 'storage_pool.id as pool', 'storage_pool.path'])
    .where('layer.state', '=', 'ready')
    .where('storage_pool.problem', 'is', null)
    .where('vm.state', 'in', [...occupyingStates])
    .$if(after !== null, query => query.where('layer.id', '>', after as LayerId))
    .orderBy('layer.id')
    .limit(layersAtOnce)
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
  return layers.length < layersAtOnce ? null : (layers.at(-1)?.id ?? null)
}
