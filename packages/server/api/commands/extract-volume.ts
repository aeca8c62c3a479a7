import { newId, type VolumeId } from '@ramet/core/ids.ts'
import { type ExtractVolume, extractVolume as extractVolumeJob } from '../../jobs/extract-volume.ts'
import { jobCommand } from '../command.ts'
import { addressOf, extractView, fileNameOf, newTicket } from '../extraction.ts'
import { storeForVolumes } from '../new-volume.ts'
import { choice, id, invalid } from '../parameters.ts'
import { listedVolume, startVolumeJob, volumeOfCall } from '../volume-call.ts'

export const extractVolume = jobCommand({
  name: 'extractVolume',
  description: 'Offers a volume for download, as a qcow2 image at an address that expires; its machine must be stopped',
  permission: 'user',
  params: {
    id: id<'volume'>('the volume').must,
    mode: choice('how it is offered', ['HTTP_DOWNLOAD']).must,
    zoneid: id<'zone'>('its zone').must,
  },
  result: {
    view: extractView('volume'),
    async read(app, job) {
      const { ticket, fileName } = job.input as ExtractVolume
      const volume = await listedVolume(app, job.instance_id as VolumeId)
      if (!volume) return undefined
      const { id: volumeId, name, account_id: accountId, zone_id: zoneId, zone_name: zoneName } = volume
      return { id: volumeId, name, accountId, zoneId, zoneName, url: addressOf(app, ticket, fileName) }
    },
  },
  async run({ app, caller, params }) {
    const volume = await volumeOfCall(app, caller, params.id)
    if (volume.zone_id !== params.zoneid) throw invalid('zoneid', `is not the zone of volume ${volume.name}`)
    const { path } = await storeForVolumes(app, volume.zone_id)
    return startVolumeJob(app, caller, 'extractVolume', extractVolumeJob, {
      volume: volume.id,
      vm: volume.vm_id,
      ticket: newTicket(app),
      fileName: fileNameOf(volume.name, 'qcow2'),
      file: `${path}/downloads/${volume.id}-${newId()}.qcow2`,
    })
  },
})
