import type { VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../../app.ts'
import { detachVolume as detachVolumeJob } from '../../jobs/detach-volume.ts'
import { volumesOf } from '../../store/volumes.ts'
import type { Caller } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { id, invalid, long } from '../parameters.ts'
import { vmOfCall } from '../vm-call.ts'
import { startVolumeJob, volumeOfCall, volumeResult } from '../volume-call.ts'

const params = {
  id: id<'volume'>('the volume; or virtualmachineid with deviceid'),
  virtualmachineid: id<'vm'>('the machine'),
  deviceid: long('its place in the machine', 0, 255),
}

export const detachVolume = jobCommand({
  name: 'detachVolume',
  description: 'Detaches a volume from its virtual machine; the guest of a running one is asked to let go of it',
  permission: 'user',
  params,
  result: volumeResult,
  async run({ app, caller, params: { id: named, virtualmachineid, deviceid } }) {
    const volume = await volumeOfCall(app, caller, named ?? (await volumeAt(app, caller, virtualmachineid, deviceid)))
    if (!volume.vm_id)
      throw new Problem('refused', 'volume-not-attached', `Volume ${volume.name} is attached to no virtual machine`)
    return startVolumeJob(app, caller, 'detachVolume', detachVolumeJob, { volume: volume.id, vm: volume.vm_id })
  },
})

async function volumeAt(
  app: App,
  caller: Caller,
  vmId: Parameters<typeof vmOfCall>[2] | undefined,
  deviceId: number | undefined,
): Promise<VolumeId> {
  if (!vmId || deviceId === undefined) throw invalid('id', 'is missing; or give virtualmachineid and deviceid')
  const vm = await vmOfCall(app, caller, vmId, 'virtualmachineid')
  const volume = (await volumesOf(app.db, vm.id)).find(each => each.device_id === deviceId)
  if (!volume) throw invalid('deviceid', `is ${deviceId}; virtual machine ${vm.name} has no disk there`)
  return volume.id
}
