// Primary storage on disk: its state changes by a move of core/pool.ts on the row as this transaction sees it.
import type { StoragePoolId } from '@ramet/core/ids.ts'
import { type PoolEvent, poolAfter, servesDisks, takesNewDisks } from '@ramet/core/pool.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Updateable } from 'kysely'
import type { Db, Tx } from './database.ts'
import type { Row, Tables } from './tables.ts'

export type Pool = Row<'storage_pool'>

/** What is done to a pool as a whole happens one after the other. */
export function poolLock(pool: StoragePoolId): string {
  return `pool:${pool}`
}

export async function poolById(db: Db, id: StoragePoolId): Promise<Pool | undefined> {
  return db.selectFrom('storage_pool').selectAll().where('id', '=', id).executeTakeFirst()
}

/** The pool's row, locked until the transaction ends. */
export async function holdPool(tx: Tx, id: StoragePoolId): Promise<Pool> {
  const pool = await tx.selectFrom('storage_pool').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
  if (!pool) throw new Problem('invalid', 'unknown-pool', `There is no storage pool ${id}`)
  return pool
}

export async function setPool(db: Db, id: StoragePoolId, set: Updateable<Tables['storage_pool']>): Promise<void> {
  await db.updateTable('storage_pool').set(set).where('id', '=', id).execute()
}

/** Makes the move `event`, or throws when the pool's state has no such move. */
export async function movePool(tx: Tx, id: StoragePoolId, event: PoolEvent): Promise<Pool> {
  const pool = await holdPool(tx, id)
  const state = poolAfter(pool.state, event)
  if (!state)
    throw new Problem(
      'refused',
      'wrong-pool-state',
      `Storage pool ${pool.name} is ${pool.state}; that is not possible then`,
    )
  await setPool(tx, id, { state })
  return { ...pool, state }
}

/** Throws unless new disks may be put on the pool; it stays so until the transaction ends. */
export async function demandPoolTakesDisks(tx: Tx, id: StoragePoolId): Promise<Pool> {
  const pool = await sharedPool(tx, id)
  if (takesNewDisks(pool)) return pool
  throw notUp(pool, 'takes no new disks')
}

/** Throws unless machines may use the disks that are on the pool; it stays so until the transaction ends. */
export async function demandPoolServesDisks(tx: Tx, id: StoragePoolId): Promise<void> {
  const pool = await sharedPool(tx, id)
  if (!servesDisks(pool)) throw notUp(pool, 'lets no machine use its disks')
}

async function sharedPool(tx: Tx, id: StoragePoolId): Promise<Pool> {
  const pool = await tx.selectFrom('storage_pool').selectAll().where('id', '=', id).forShare().executeTakeFirst()
  if (!pool) throw new Problem('invalid', 'unknown-pool', `There is no storage pool ${id}`)
  return pool
}

function notUp({ name, problem, state }: Pool, what: string): Problem {
  return new Problem('refused', 'pool-not-up', `Storage pool ${name} ${what}: ${problem ?? `it is ${state}`}`)
}

/** Those whose disks the server keeps: a cluster that is reached by a connection has others. */
export async function ownPools(db: Db): Promise<Pick<Pool, 'id' | 'name' | 'path'>[]> {
  return db
    .selectFrom('storage_pool')
    .leftJoin('cluster_connection as reached', 'reached.cluster_id', 'storage_pool.cluster_id')
    .select(['id', 'name', 'path'])
    .where('reached.cluster_id', 'is', null)
    .execute()
}
