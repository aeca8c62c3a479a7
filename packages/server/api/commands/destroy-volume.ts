import { destroyVolume as destroyVolumeJob } from '../../jobs/destroy-volume.ts'
import { jobCommand } from '../command.ts'
import { flag, id } from '../parameters.ts'
import { startVolumeJob, volumeOfCall, volumeResult } from '../volume-call.ts'

export const destroyVolume = jobCommand({
  name: 'destroyVolume',
  description: 'Sets a volume that is attached to nothing aside, or removes it for good with expunge=true',
  permission: 'user',
  params: {
    id: id<'volume'>('the volume').must,
    expunge: flag('remove it for good'),
  },
  result: volumeResult,
  async run({ app, caller, params }) {
    const { id: volume } = await volumeOfCall(app, caller, params.id)
    return startVolumeJob(app, caller, 'destroyVolume', destroyVolumeJob, { volume, expunge: params.expunge ?? false })
  },
})
