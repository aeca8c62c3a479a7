import { newId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { migrateVolume as migrateVolumeJob } from '../../jobs/migrate-volume.ts'
import { jobCommand } from '../command.ts'
import { poolInZone } from '../new-volume.ts'
import { flag, id } from '../parameters.ts'
import { startVolumeJob, volumeOfCall, volumeResult } from '../volume-call.ts'

export const migrateVolume = jobCommand({
  name: 'migrateVolume',
  description:
    'Moves a volume to another primary storage while its machine is stopped, or it has none. A linked clone arrives linked, with its template copied there, or is flattened where the storage is for full clones or the template is gone',
  permission: 'admin',
  params: {
    volumeid: id<'volume'>('the volume').must,
    storageid: id<'storage-pool'>('the primary storage to move it to').must,
    livemigrate: flag('must be false: volumes of running machines are not moved'),
  },
  result: volumeResult,
  async run({ app, caller, params }) {
    if (params.livemigrate)
      throw new Problem(
        'refused',
        'no-live-migration',
        'Volumes are not moved while their machine runs; stop it, or detach the volume, and leave livemigrate out',
      )
    const volume = await volumeOfCall(app, caller, params.volumeid, 'volumeid')
    const pool = await poolInZone(app, params.storageid, volume.zone_id)
    const input = { volume: volume.id, vm: volume.vm_id, pool, layer: newId<'layer'>() }
    return startVolumeJob(app, caller, 'migrateVolume', migrateVolumeJob, input)
  },
})
