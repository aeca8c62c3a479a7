import { deleteVmSnapshot as deleteVmSnapshotJob } from '../../jobs/delete-vm-snapshot.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { flag, id } from '../parameters.ts'
import { planOfDeletion } from '../removal-plan.ts'
import { deletionResult, vmSnapshotOfCall } from '../vm-snapshot-call.ts'

export const deleteVMSnapshot = jobCommand({
  name: 'deleteVMSnapshot',
  description:
    'Deletes a VM snapshot, also while its machine runs; no other snapshot is affected. The result tells how far the merges are that it left. With dryrun=true it only answers what that would do',
  permission: 'user',
  params: {
    vmsnapshotid: id<'vm-snapshot'>('the VM snapshot').must,
    dryrun: flag('answer the plan at once: files, bytes to move, space freed, who stands on it; and do nothing'),
  },
  result: deletionResult,
  async run({ app, caller, params }) {
    const snapshot = await vmSnapshotOfCall(app, caller, params.vmsnapshotid)
    if (params.dryrun) return { plan: await planOfDeletion(app.db, snapshot) }
    const input = { vm: snapshot.vm_id, snapshot: snapshot.id }
    const origin = originOfCall(caller, 'deleteVMSnapshot')
    return { jobid: await app.jobs.start(app.db, deleteVmSnapshotJob, input, origin) }
  },
})
