import { maintainPool } from '../../jobs/maintain-pool.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { poolOfCall, poolResult } from '../pool-call.ts'

export const enableStorageMaintenance = jobCommand({
  name: 'enableStorageMaintenance',
  description: 'Brings a storage pool into maintenance; machines with disks there are stopped, and stay so',
  permission: 'admin',
  envelope: 'prepareprimarystorageformaintenanceresponse',
  params: { id: id<'storage-pool'>('the storage pool').must },
  result: poolResult,
  async run({ app, caller, params }) {
    const { id: pool, state: from } = await poolOfCall(app, params.id)
    return {
      jobid: await app.jobs.start(
        app.db,
        maintainPool,
        { pool, from },
        originOfCall(caller, 'enableStorageMaintenance'),
      ),
    }
  },
})
