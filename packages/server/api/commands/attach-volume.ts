import { newId } from '@ramet/core/ids.ts'
import { attachVolume as attachVolumeJob } from '../../jobs/attach-volume.ts'
import { jobCommand } from '../command.ts'
import { id, long } from '../parameters.ts'
import { vmOfCall } from '../vm-call.ts'
import { startVolumeJob, volumeOfCall, volumeResult } from '../volume-call.ts'

export const attachVolume = jobCommand({
  name: 'attachVolume',
  description: 'Attaches a volume to a virtual machine; to a running one at once, by hot-plug',
  permission: 'user',
  params: {
    id: id<'volume'>('the volume').must,
    virtualmachineid: id<'vm'>('the virtual machine').must,
    deviceid: long(
      'its place in the machine: 0 is the root disk, 3 the CD-ROM; the first free one when absent',
      0,
      255,
    ),
  },
  result: volumeResult,
  async run({ app, caller, params }) {
    const volume = await volumeOfCall(app, caller, params.id)
    const vm = await vmOfCall(app, caller, params.virtualmachineid, 'virtualmachineid')
    const input = { volume: volume.id, vm: vm.id, deviceId: params.deviceid ?? null, layer: newId<'layer'>() }
    return startVolumeJob(app, caller, 'attachVolume', attachVolumeJob, input)
  },
})
