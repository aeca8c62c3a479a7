// What the commands on one storage pool have in common.
import type { StoragePoolId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import { listedPool } from '../store/infrastructure.ts'
import { type Pool, poolById } from '../store/pools.ts'
import { unknownId } from './caller.ts'
import type { JobResult } from './command.ts'
import { type ListedStoragePool, storagePoolView } from './views/storage-pool.ts'

export async function poolOfCall(app: App, id: StoragePoolId): Promise<Pool> {
  const pool = await poolById(app.db, id)
  if (!pool) throw unknownId('id', id)
  return pool
}

export const poolResult: JobResult<ListedStoragePool> = {
  view: storagePoolView,
  read: (app, job) => listedPool(app.db, job.instance_id as StoragePoolId),
}
