import { newId, type VmSnapshotId } from '@ramet/core/ids.ts'
import type { JobDefinition } from '../../jobs/define-job.ts'
import {
  type RevertToVmSnapshot,
  revertToVmSnapshot as revertToVmSnapshotJob,
} from '../../jobs/revert-to-vm-snapshot.ts'
import { revertVm } from '../../jobs/revert-vm.ts'
import type { App } from '../../app.ts'
import type { Tx } from '../../store/database.ts'
import { vmById } from '../../store/vms.ts'
import type { VmSnapshot } from '../../store/vm-snapshots.ts'
import { type Caller, originOfCall, unknownId } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { flag, id } from '../parameters.ts'
import { insertVmSnapshot, snapshotJobOn, vmOfSnapshotResult, vmSnapshotOfCall } from '../vm-snapshot-call.ts'

export const revertToVMSnapshot = jobCommand({
  name: 'revertToVMSnapshot',
  description:
    'Brings a machine back to any of its VM snapshots: to one with memory it runs afterwards, to one without it is Stopped. What it wrote since is lost, but for safetysnapshot=true',
  permission: 'user',
  params: {
    vmsnapshotid: id<'vm-snapshot'>('the VM snapshot').must,
    safetysnapshot: flag('take a VM snapshot of the present state first; reverting to that undoes this revert'),
    diskonly: flag('leave the memory of the VM snapshot alone'),
  },
  result: vmOfSnapshotResult,
  async run({ app, caller, params }) {
    const snapshot = await vmSnapshotOfCall(app, caller, params.vmsnapshotid)
    return app.db.transaction().execute(async tx => {
      const safety = params.safetysnapshot ? await startSafety(app, tx, caller, snapshot) : null
      const input = { vm: snapshot.vm_id, snapshot: snapshot.id, diskOnly: params.diskonly ?? false, safety }
      const vm = await vmById(tx, snapshot.vm_id)
      const isKept = app.capabilitiesOf(vm?.cluster_id ?? null).disks === 'machines'
      const job: JobDefinition<RevertToVmSnapshot> = isKept ? revertVm : revertToVmSnapshotJob
      return { jobid: await app.jobs.start(tx, job, input, originOfCall(caller, 'revertToVMSnapshot')) }
    })
  },
})

/** Of one machine the jobs run in the order of their start: the revert finds this one done, or failed. */
async function startSafety(app: App, tx: Tx, caller: Caller, before: VmSnapshot): Promise<VmSnapshotId> {
  const vm = await vmById(tx, before.vm_id)
  const safety = newId<'vm-snapshot'>()
  if (!vm) throw unknownId('vmsnapshotid', before.id)
  const withMemory = vm.state === 'Running' && app.capabilitiesOf(vm.cluster_id).memorySnapshot
  await insertVmSnapshot(app, tx, {
    id: safety,
    vm: before.vm_id,
    displayName: `before revert to ${before.display_name}, ${new Date().toISOString()}`.slice(0, 255),
    description: `Taken before the revert to ${before.display_name}; reverting to this one undoes that`.slice(0, 255),
    withMemory,
  })
  const input = { vm: before.vm_id, snapshot: safety, withMemory, quiesce: false }
  await app.jobs.start(tx, snapshotJobOn(app, vm), input, originOfCall(caller, 'createVMSnapshot'))
  return safety
}
