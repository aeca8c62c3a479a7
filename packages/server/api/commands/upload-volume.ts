import { newId } from '@ramet/core/ids.ts'
import { type UploadVolume, uploadVolume as uploadVolumeJob } from '../../jobs/upload-volume.ts'
import { holdPlace } from '../../store/infrastructure.ts'
import { holdRoom } from '../../store/limits.ts'
import { originOfCall, unknownId } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { chosenZone } from '../deployment.ts'
import { demandLabel, diskOfferingNamed, insertVolume, storeForVolumes } from '../new-volume.ts'
import { ownerOf, ownerParameters } from '../ownership.ts'
import { choice, id, invalid, longText, text } from '../parameters.ts'
import { volumeResult } from '../volume-call.ts'

const formats = ['QCOW2', 'RAW', 'VMDK', 'VHDX'] as const

export const uploadVolume = jobCommand({
  name: 'uploadVolume',
  description:
    'Brings a disk image from a URL to secondary storage, as a volume; its first attachment makes a disk of it',
  permission: 'user',
  params: {
    ...ownerParameters,
    name: text('its name').must,
    url: longText('http or https address of the image', 2048).must,
    format: choice('what the file is', formats).must,
    zoneid: id<'zone'>('its zone').must,
    checksum: text('{SHA-256}hex, or a bare MD5'),
    diskofferingid: id<'disk-offering'>('a disk offering that leaves the size open'),
    imagestoreuuid: id<'image-store'>('the secondary storage to keep it on'),
  },
  result: volumeResult,
  async run({ app, caller, params }) {
    demandLabel(params.name)
    demandHttp(params.url)
    const [owner, zone] = await Promise.all([ownerOf(app, caller, params), chosenZone(app, params.zoneid)])
    const offering = params.diskofferingid && (await diskOfferingNamed(app, params.diskofferingid))
    if (offering && offering.size_bytes !== null)
      throw invalid(
        'diskofferingid',
        `names ${offering.name}, whose disks have a size of their own; name one that leaves it open`,
      )
    const store = await storeForVolumes(app, zone.id, params.imagestoreuuid)
    const volume = newId<'volume'>()
    return app.db.transaction().execute(async tx => {
      await holdRoom(tx, owner.id, { volume: 1 })
      if (!(await holdPlace(tx, 'image_store', store.id, 'share'))) throw unknownId('imagestoreuuid', store.id)
      await insertVolume(tx, owner, {
        id: volume,
        zone_id: zone.id,
        name: params.name,
        size_bytes: 0,
        state: 'NotUploaded',
        disk_offering_id: offering?.id ?? null,
        image_store_id: store.id,
        install_path: `volumes/${volume}.${params.format.toLowerCase()}`,
        format: params.format,
      })
      const input = {
        volume,
        url: params.url,
        format: params.format.toLowerCase() as UploadVolume['format'],
        checksum: params.checksum || null,
      }
      return {
        id: volume,
        jobid: await app.jobs.start(tx, uploadVolumeJob, input, originOfCall(caller, 'uploadVolume')),
      }
    })
  },
})

/** The rest of the address is judged where it is opened, and again after each redirect. */
function demandHttp(url: string): void {
  const protocol = URL.canParse(url) ? new URL(url).protocol : null
  if (protocol !== 'http:' && protocol !== 'https:') throw invalid('url', 'must be an http or https address')
}
