import { hasTags } from '../../store/tags.ts'
import { selectVolumes } from '../../store/volume-list.ts'
import { listCommand } from '../command.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { choice, id, ids, text } from '../parameters.ts'
import { tagFilter } from '../tags.ts'
import { pageOf } from '../query.ts'
import { volumeView } from '../views/volume.ts'

export const listVolumes = listCommand({
  name: 'listVolumes',
  description: 'Lists volumes: the disks of machines, and disks of their own',
  permission: 'user',
  params: {
    ...ownershipParameters,
    ...tagFilter,
    id: id<'volume'>('the volume'),
    ids: ids<'volume'>('the volumes'),
    name: text('exact name'),
    type: choice('kind', ['ROOT', 'DATADISK']),
    state: text('a state'),
    virtualmachineid: id<'vm'>('those attached to a machine'),
    zoneid: id<'zone'>('those of a zone'),
    storageid: id<'storage-pool'>('those on a primary storage'),
    diskofferingid: id<'disk-offering'>('those of a disk offering'),
  },
  view: volumeView,
  async run({ app, caller, params, page }) {
    let volumes = selectVolumes(app.db).where('volume.removed', 'is', null).orderBy('volume.number', 'desc')
    volumes = narrowToOwner(volumes, 'volume.account_id', caller, params).where(hasTags('volume.id', params.tags))
    if (params.id) volumes = volumes.where('volume.id', '=', params.id)
    if (params.ids) volumes = volumes.where('volume.id', 'in', params.ids)
    if (params.name) volumes = volumes.where('volume.name', '=', params.name)
    if (params.type) volumes = volumes.where('volume.type', '=', params.type)
    if (params.state) volumes = volumes.where('volume.state', '=', params.state as 'Ready')
    if (params.virtualmachineid) volumes = volumes.where('volume.vm_id', '=', params.virtualmachineid)
    if (params.zoneid) volumes = volumes.where('volume.zone_id', '=', params.zoneid)
    if (params.storageid) volumes = volumes.where('volume.pool_id', '=', params.storageid)
    if (params.diskofferingid) volumes = volumes.where('volume.disk_offering_id', '=', params.diskofferingid)
    if (page.keyword) volumes = volumes.where('volume.name', 'ilike', containing(page.keyword))
    return pageOf(volumes, page)
  },
})
