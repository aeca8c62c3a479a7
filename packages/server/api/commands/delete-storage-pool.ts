import type { StoragePoolId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { sql } from 'kysely'
import { setTimeout as delay } from 'node:timers/promises'
import type { App } from '../../app.ts'
import { removeIfUnneeded } from '../../jobs/remove-layer.ts'
import type { JobOrigin } from '../../jobs/tools.ts'
import { inTransaction, type Tx } from '../../store/database.ts'
import { remaining } from '../../store/infrastructure.ts'
import { holdPool, type Pool } from '../../store/pools.ts'
import { setSpoolRef } from '../../store/templates.ts'
import { originOfCall } from '../caller.ts'
import { changing, inUse } from '../changing.ts'
import { plainCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { poolOfCall } from '../pool-call.ts'
import { successView } from '../views/success.ts'

const copiesGoWithinMs = 60_000

export const deleteStoragePool = plainCommand({
  name: 'deleteStoragePool',
  description: 'Removes a storage pool in maintenance that holds no volume; copies of templates there go first',
  permission: 'admin',
  params: { id: id<'storage-pool'>('the storage pool').must },
  answer: successView,
  async run({ app, caller, params }) {
    const { id: pool, path } = await poolOfCall(app, params.id)
    await inTransaction(app.db, tx => dropCopies(tx, app, pool, originOfCall(caller, 'deleteStoragePool')))
    await copiesGone(app, pool)
    await changing({ app, caller }, async (tx, tell) => {
      const { name } = await demandEmpty(tx, pool, { layers: sql`layer where pool_id = ${pool}` })
      await tx.deleteFrom('template_spool_ref').where('pool_id', '=', pool).execute()
      // Volumes that are long gone were there; their rows remain for the events that speak of them.
      await tx.updateTable('volume').set({ pool_id: null }).where('pool_id', '=', pool).execute()
      await tx.deleteFrom('storage_pool').where('id', '=', pool).execute()
      await tell({
        type: 'STORAGE.POOL.DELETE',
        description: `removed storage pool ${name}`,
        resourceType: 'StoragePool',
        resource: pool,
      })
    })
    // Only its mark is left, which keeps the folder from being made another pool by accident; nothing refers to it.
    await app.storage
      .releasePool({ id: pool, path })
      .catch(error => app.log.warn({ err: error, path }, 'the folder of a removed storage pool keeps its mark'))
    return { success: true }
  },
})

async function demandEmpty(tx: Tx, poolId: StoragePoolId, also: Parameters<typeof remaining>[1] = {}): Promise<Pool> {
  const pool = await holdPool(tx, poolId)
  if (pool.state !== 'Maintenance')
    throw new Problem(
      'refused',
      'wrong-pool-state',
      `Storage pool ${pool.name} is ${pool.state}; bring it into Maintenance first, with enableStorageMaintenance`,
    )
  const rest = await remaining(tx, { volumes: sql`volume where pool_id = ${poolId} and removed is null`, ...also })
  if (rest.length > 0) throw inUse(`Storage pool ${pool.name}`, rest)
  return pool
}

/** Every template's copy loses its name and goes, as after deleteTemplate; the template itself stays. */
async function dropCopies(tx: Tx, app: App, pool: StoragePoolId, origin: JobOrigin): Promise<void> {
  await demandEmpty(tx, pool)
  const copies = await tx.selectFrom('template_spool_ref').selectAll().where('pool_id', '=', pool).forUpdate().execute()
  for (const { id: ref, layer_id } of copies) {
    if (layer_id) {
      await setSpoolRef(tx, ref, { marked_for_gc: true, state: 'Destroying' })
      await removeIfUnneeded(tx, layer_id, app.jobs, origin)
    } else await tx.deleteFrom('template_spool_ref').where('id', '=', ref).execute()
  }
}

async function copiesGone(app: App, pool: StoragePoolId): Promise<void> {
  for (const until = Date.now() + copiesGoWithinMs; Date.now() < until; await delay(100)) {
    const left = await app.db
      .selectFrom('layer')
      .innerJoin('job', join =>
        join.on(sql<boolean>`job.lock_key = 'layer:' || layer.id`).on('job.completed', 'is', null),
      )
      .select('layer.id')
      .where('layer.pool_id', '=', pool)
      .where('job.state', '!=', 'stuck')
      .executeTakeFirst()
    if (!left) return
  }
}
