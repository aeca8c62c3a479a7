import { demandSnapshotAction, disksOf } from '../../store/vm-snapshots.ts'
import { volumeById } from '../../store/volumes.ts'
import { jobCommand } from '../command.ts'
import { id, invalid, label } from '../parameters.ts'
import { demandOwned } from '../caller.ts'
import { snapshotResult, startSnapshot } from '../snapshot-call.ts'
import { demandLayersOf, vmSnapshotOfCall } from '../vm-snapshot-call.ts'

export const createSnapshotFromVMSnapshot = jobCommand({
  name: 'createSnapshotFromVMSnapshot',
  description: 'Makes a snapshot of a volume, on secondary storage, of the disk that a VM snapshot has of it',
  permission: 'user',
  params: {
    vmsnapshotid: id<'vm-snapshot'>('the VM snapshot').must,
    volumeid: id<'volume'>('the volume').must,
    name: label('its name; made of the time when absent'),
  },
  result: snapshotResult,
  async run({ app, caller, params }) {
    const vmSnapshot = await vmSnapshotOfCall(app, caller, params.vmsnapshotid)
    const found = await volumeById(app.db, params.volumeid)
    const volume = await demandOwned(app, caller, found, 'volumeid', params.volumeid)
    demandSnapshotAction(vmSnapshot, 'use')
    await demandLayersOf(app, vmSnapshot)
    const disk = (await disksOf(app.db, vmSnapshot.id)).find(each => each.volume_id === volume.id)
    if (!disk)
      throw invalid('volumeid', `names ${volume.name}, of which VM snapshot ${vmSnapshot.display_name} has no disk`)
    const asked = { command: 'createSnapshotFromVMSnapshot', name: params.name, vmSnapshot, quiesce: false }
    return startSnapshot(app, caller, { ...volume, size_bytes: disk.size_bytes }, asked)
  },
})
