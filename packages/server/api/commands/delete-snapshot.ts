import { deleteSnapshot as deleteSnapshotJob } from '../../jobs/delete-snapshot.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { snapshotOfCall } from '../snapshot-call.ts'

export const deleteSnapshot = jobCommand({
  name: 'deleteSnapshot',
  description: 'Deletes a snapshot of a volume',
  permission: 'user',
  params: { id: id<'snapshot'>('the snapshot').must },
  async run({ app, caller, params }) {
    const snapshot = await snapshotOfCall(app, caller, params.id)
    const origin = originOfCall(caller, 'deleteSnapshot')
    return { jobid: await app.jobs.start(app.db, deleteSnapshotJob, { snapshot: snapshot.id }, origin) }
  },
})
