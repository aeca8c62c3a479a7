import { newId } from '@ramet/core/ids.ts'
import { attachVolume } from '../../jobs/attach-volume.ts'
import { createVolume as createVolumeJob } from '../../jobs/create-volume.ts'
import { recordEvent } from '../../store/events.ts'
import { holdRoom } from '../../store/limits.ts'
import { demandSizeFits } from '../../store/volume-pools.ts'
import { isAdmin, originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { chosenZone } from '../deployment.ts'
import { bytesOf, demandLabel, diskOfferingNamed, insertVolume, poolInZone } from '../new-volume.ts'
import { ownerOf, ownerParameters } from '../ownership.ts'
import { flag, id, invalid, long, text } from '../parameters.ts'
import { vmOfCall } from '../vm-call.ts'
import { volumeResult } from '../volume-call.ts'
import { isFromSnapshot, sourceParameters, startFromSnapshot } from '../volume-from-snapshot.ts'

export const createVolume = jobCommand({
  name: 'createVolume',
  description:
    'Creates a volume: a data disk of its own. An empty one is Allocated, without storage, until it is attached for the first time; one of a snapshot is Ready, with its content',
  permission: 'user',
  params: {
    ...ownerParameters,
    name: text('its name; made up when absent'),
    diskofferingid: id<'disk-offering'>('its disk offering; of a snapshot, that of the volume when absent'),
    ...sourceParameters,
    zoneid: id<'zone'>('its zone; that of the snapshot or the machine when absent'),
    size: long('GiB, where the offering leaves it open; at least those of snapshotid', 1, 64 * 1024),
    virtualmachineid: id<'vm'>('attach it to this machine at once'),
    displayvolume: flag('whether users see it; true when absent'),
    storageid: id<'storage-pool'>(
      'the primary storage for it; administrators only, chosen at the first attachment when absent',
    ),
  },
  result: volumeResult,
  async run({ app, caller, params }) {
    demandLabel(params.name || undefined)
    const vm = params.virtualmachineid && (await vmOfCall(app, caller, params.virtualmachineid, 'virtualmachineid'))
    if (params.storageid && !isAdmin(caller)) throw invalid('storageid', 'is for administrators; leave it out')
    if (isFromSnapshot(params)) return startFromSnapshot(app, caller, params, vm)
    const zoneId = params.zoneid ?? vm?.zone_id
    if (!zoneId) throw invalid('zoneid', 'is missing')
    if (!params.diskofferingid) throw invalid('diskofferingid', 'is missing, or snapshotid or vmsnapshotid is')
    const [owner, zone, offering] = await Promise.all([
      ownerOf(app, caller, params),
      chosenZone(app, zoneId),
      diskOfferingNamed(app, params.diskofferingid),
    ])
    if (vm && vm.zone_id !== zone.id) throw invalid('virtualmachineid', `names ${vm.name}, which is in another zone`)
    if (vm && vm.account_id !== owner.id)
      throw invalid('virtualmachineid', `names ${vm.name}, which belongs to another account than the volume would`)
    const pool = params.storageid ? await poolInZone(app, params.storageid, zone.id) : null
    const size = bytesOf(offering, params.size)
    return app.db.transaction().execute(async tx => {
      await demandSizeFits(tx, pool ? { pool } : { zone: zone.id }, size)
      await holdRoom(tx, owner.id, { volume: 1, primaryBytes: size })
      const volume = await insertVolume(tx, owner, {
        zone_id: zone.id,
        name: params.name ?? '',
        size_bytes: size,
        state: 'Allocated',
        disk_offering_id: offering.id,
        pool_id: pool,
        display: params.displayvolume ?? true,
      })
      const origin = originOfCall(caller, 'createVolume')
      if (!vm) return { id: volume.id, jobid: await app.jobs.start(tx, createVolumeJob, { volume: volume.id }, origin) }
      await recordEvent(tx, {
        type: 'VOLUME.CREATE',
        description: `created volume ${volume.name}`,
        account: owner.id,
        user: caller.user.id,
        resourceType: 'Volume',
        resource: volume.id,
      })
      const input = { volume: volume.id, vm: vm.id, deviceId: null, layer: newId<'layer'>() }
      return { id: volume.id, jobid: await app.jobs.start(tx, attachVolume, input, origin) }
    })
  },
})
