import { Problem } from '@ramet/core/problem.ts'
import { jobCommand } from '../command.ts'
import { flag, id, label } from '../parameters.ts'
import { snapshotResult, startSnapshot } from '../snapshot-call.ts'
import { volumeOfCall } from '../volume-call.ts'

export const createSnapshot = jobCommand({
  name: 'createSnapshot',
  description:
    'Makes a snapshot of a volume on secondary storage, also while its machine runs; it stands on nothing and outlives the volume',
  permission: 'user',
  params: {
    volumeid: id<'volume'>('the volume').must,
    name: label('its name; made of the time when absent'),
    quiescevm: flag("ask the guest's agent to bring the file systems to rest for the moment"),
    asyncbackup: flag('accepted; the copy is always made before the job ends'),
  },
  result: snapshotResult,
  async run({ app, caller, params }) {
    const volume = await volumeOfCall(app, caller, params.volumeid, 'volumeid')
    if (volume.disk_key)
      throw new Problem(
        'unsupported',
        'own-disks',
        `The hypervisor keeps the disk of volume ${volume.name}; take VM snapshots of its machine (createVMSnapshot)`,
      )
    if (volume.state !== 'Ready' || !volume.layer_id)
      throw new Problem(
        'refused',
        'wrong-volume-state',
        `Volume ${volume.name} is ${volume.state}; a snapshot of it is possible only when it is Ready`,
      )
    const quiesce = params.quiescevm ?? false
    return startSnapshot(app, caller, volume, {
      command: 'createSnapshot',
      name: params.name,
      vmSnapshot: null,
      quiesce,
    })
  },
})
