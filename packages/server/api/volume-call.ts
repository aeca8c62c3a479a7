// What the commands on one volume have in common: finding it for its owner, and the job's result.
import type { VolumeId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import type { JobDefinition } from '../jobs/define-job.ts'
import { type ListedVolume, selectVolumes } from '../store/volume-list.ts'
import { type Volume, volumeById } from '../store/volumes.ts'
import { type Caller, demandOwned, originOfCall } from './caller.ts'
import type { JobResult } from './command.ts'
import { volumeView } from './views/volume.ts'

/** The volume that parameter `id` names, if the caller may use it. */
export async function volumeOfCall(app: App, caller: Caller, id: VolumeId, parameter = 'id'): Promise<Volume> {
  return demandOwned(app, caller, await volumeById(app.db, id), parameter, id)
}

export async function startVolumeJob<I extends { volume: VolumeId }>(
  app: App,
  caller: Caller,
  command: string,
  definition: JobDefinition<I>,
  input: I,
) {
  return { jobid: await app.jobs.start(app.db, definition, input, originOfCall(caller, command)) }
}

export async function listedVolume(app: App, id: VolumeId): Promise<ListedVolume | undefined> {
  return selectVolumes(app.db).where('volume.id', '=', id).executeTakeFirst()
}

/** The volume as it is when the result is asked for. */
export const volumeResult: JobResult<ListedVolume> = {
  view: volumeView,
  async read(app, job) {
    const volume = await listedVolume(app, job.instance_id as VolumeId)
    return volume?.removed ? undefined : volume
  },
}
