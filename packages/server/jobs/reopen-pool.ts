// Ends the maintenance of a primary storage: it takes disks again, and its machines may be started.
import type { StoragePoolId } from '@ramet/core/ids.ts'
import { movePool, poolLock, setPool } from '../store/pools.ts'
import { setPoolSpace } from '../store/capacity.ts'
import { defineJob, nothing } from './define-job.ts'

export interface ReopenPool {
  readonly pool: StoragePoolId
}

export const reopenPool = defineJob<ReopenPool>({
  kind: 'reopen-pool',
  event: 'MAINT.CANCEL.PS',
  doing: 'ending maintenance of storage pool',
  instanceType: 'StoragePool',
  cancellable: false,
  lock: input => poolLock(input.pool),
  instance: input => input.pool,
})
  .act('look', {
    // What was done to it meanwhile may have left it unmounted, or of another size.
    do: async ({ db, driver, input }) =>
      driver.pools.space(
        await db
          .selectFrom('storage_pool')
          .select(['id', 'path'])
          .where('id', '=', input.pool)
          .executeTakeFirstOrThrow(),
      ),
    undo: nothing('it only looks'),
  })
  .record('open', {
    do: async ({ tx, input, made }) => {
      await movePool(tx, input.pool, 'cancelMaintenance')
      await setPool(tx, input.pool, { problem: null })
      await setPoolSpace(tx, input.pool, made.look)
    },
    undo: nothing('nothing follows it'),
  })
