import { reopenPool } from '../../jobs/reopen-pool.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { poolOfCall, poolResult } from '../pool-call.ts'

export const cancelStorageMaintenance = jobCommand({
  name: 'cancelStorageMaintenance',
  description: 'Ends the maintenance of a storage pool; machines with disks there can be started again',
  permission: 'admin',
  envelope: 'cancelprimarystoragemaintenanceresponse',
  params: { id: id<'storage-pool'>('the storage pool').must },
  result: poolResult,
  async run({ app, caller, params }) {
    const { id: pool } = await poolOfCall(app, params.id)
    return {
      jobid: await app.jobs.start(app.db, reopenPool, { pool }, originOfCall(caller, 'cancelStorageMaintenance')),
    }
  },
})
