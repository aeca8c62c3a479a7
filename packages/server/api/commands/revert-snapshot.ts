import { newId } from '@ramet/core/ids.ts'
import { revertSnapshot as revertSnapshotJob } from '../../jobs/revert-snapshot.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { snapshotOfCall, snapshotResult } from '../snapshot-call.ts'
import { volumeOfCall } from '../volume-call.ts'

export const revertSnapshot = jobCommand({
  name: 'revertSnapshot',
  description:
    'Brings a volume back to one of its snapshots; its machine must be Stopped, and have no VM snapshots. What the volume holds now is lost',
  permission: 'user',
  params: { id: id<'snapshot'>('the snapshot').must },
  result: snapshotResult,
  async run({ app, caller, params }) {
    const snapshot = await snapshotOfCall(app, caller, params.id)
    const volume = await volumeOfCall(app, caller, snapshot.volume_id)
    const input = { volume: volume.id, vm: volume.vm_id, snapshot: snapshot.id, layer: newId<'layer'>() }
    return { jobid: await app.jobs.start(app.db, revertSnapshotJob, input, originOfCall(caller, 'revertSnapshot')) }
  },
})
