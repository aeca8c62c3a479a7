// The data volumes of a machine from a VM snapshot, where the call wants them. Each is made by a job of its own, on its own storage, as
// createVolume would make it (create-volume-from-snapshot.ts); the deployment waits for them and plugs them in where they were. When it
// fails they go: those that are ready at once, those that are being made by their own jobs, which find the machine in Error.
import type { JobId, VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { holdVolume, retireVolume, setVolume } from '../store/volumes.ts'
import type { RecordContext } from './define-job.ts'
import type { DeployVm } from './deploy-vm.ts'
import { untilDone } from './others.ts'
import { removeIfUnneeded } from './remove-layer.ts'
import { originOf } from './tools.ts'

type Recording = RecordContext<DeployVm, object>

export interface DataVolume {
  readonly volume: VolumeId
  /** What makes it. */
  readonly job: JobId
  /** Its place, as in the machine of the snapshot. */
  readonly deviceId: number
}

export async function plugData({ tx, input }: Recording): Promise<void> {
  for (const { job } of input.data ?? []) await untilDone(tx, job)
  for (const { volume: id, deviceId } of input.data ?? []) {
    const volume = await holdVolume(tx, id)
    if (volume.vm_id || volume.state !== 'Ready')
      throw new Problem('refused', 'volume-moved', `Volume ${volume.name} has been attached elsewhere meanwhile`)
    await setVolume(tx, id, { vm_id: input.vm, device_id: deviceId, attached: new Date() })
  }
}

export async function unplugData({ tx, input }: Recording): Promise<void> {
  for (const { volume } of input.data ?? [])
    await setVolume(tx, volume, { vm_id: null, device_id: null, attached: null })
}

/** To be called once the machine is in Error: what is not ready yet is left to its own job. */
export async function dropData({ tx, input, jobs, job }: Recording): Promise<void> {
  for (const { volume: id } of input.data ?? []) {
    const volume = await tx.selectFrom('volume').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
    if (volume?.state !== 'Ready' || volume.vm_id) continue
    await retireVolume(tx, id)
    if (volume.layer_id) await removeIfUnneeded(tx, volume.layer_id, jobs, { ...originOf(job), command: 'removeLayer' })
  }
}
