import { resizeVolume as resizeVolumeJob } from '../../jobs/resize-volume.ts'
import type { App } from '../../app.ts'
import type { DiskOfferingId } from '@ramet/core/ids.ts'
import type { Volume } from '../../store/volumes.ts'
import { jobCommand } from '../command.ts'
import { bytesOf, diskOfferingNamed, gib } from '../new-volume.ts'
import { flag, id, invalid, long } from '../parameters.ts'
import { startVolumeJob, volumeOfCall, volumeResult } from '../volume-call.ts'

export const resizeVolume = jobCommand({
  name: 'resizeVolume',
  description:
    'Makes a volume larger, also under a running machine; or smaller, with shrinkok=true, while nobody uses it and no data lie beyond its new end',
  permission: 'user',
  params: {
    id: id<'volume'>('the volume').must,
    size: long('GiB; not for a volume whose disk offering has a fixed size', 1, 64 * 1024),
    diskofferingid: id<'disk-offering'>('its disk offering from now on'),
    shrinkok: flag('it may become smaller'),
  },
  result: volumeResult,
  async run({ app, caller, params }) {
    const volume = await volumeOfCall(app, caller, params.id)
    const input = {
      volume: volume.id,
      vm: volume.vm_id,
      bytes: await bytesAsked(app, volume, params.size, params.diskofferingid),
      shrinkOk: params.shrinkok ?? false,
      offering: params.diskofferingid ?? null,
    }
    return startVolumeJob(app, caller, 'resizeVolume', resizeVolumeJob, input)
  },
})

async function bytesAsked(
  app: App,
  volume: Volume,
  size: number | undefined,
  offeringId: DiskOfferingId | undefined,
): Promise<number> {
  if (offeringId) return bytesOf(await diskOfferingNamed(app, offeringId), size)
  if (size === undefined) throw invalid('size', 'is missing, or diskofferingid is')
  const own =
    volume.disk_offering_id &&
    (await app.db
      .selectFrom('disk_offering')
      .select(['name', 'size_bytes'])
      .where('id', '=', volume.disk_offering_id)
      .executeTakeFirst())
  if (own && own.size_bytes !== null)
    throw invalid('size', `is fixed by the disk offering ${own.name} of the volume; name another by diskofferingid`)
  return size * gib
}
