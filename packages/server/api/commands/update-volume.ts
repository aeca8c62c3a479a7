import { updateVolume as updateVolumeJob } from '../../jobs/update-volume.ts'
import { jobCommand } from '../command.ts'
import { demandLabel } from '../new-volume.ts'
import { flag, id, text } from '../parameters.ts'
import { startVolumeJob, volumeOfCall, volumeResult } from '../volume-call.ts'

export const updateVolume = jobCommand({
  name: 'updateVolume',
  description: 'Changes a volume’s name, whether users see it, and its protection from deletion',
  permission: 'user',
  params: {
    id: id<'volume'>('the volume').must,
    name: text('new name'),
    displayvolume: flag('whether users see it'),
    deleteprotection: flag('refuse to delete it'),
  },
  result: volumeResult,
  async run({ app, caller, params }) {
    demandLabel(params.name)
    const { id: volume } = await volumeOfCall(app, caller, params.id)
    const set = {
      ...(params.name !== undefined && { name: params.name }),
      ...(params.displayvolume !== undefined && { display: params.displayvolume }),
      ...(params.deleteprotection !== undefined && { delete_protection: params.deleteprotection }),
    }
    return startVolumeJob(app, caller, 'updateVolume', updateVolumeJob, { volume, set })
  },
})
