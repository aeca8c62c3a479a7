import { volumeStates } from '@ramet/core/volume.ts'
import { hasTags } from '../../store/tags.ts'
import { sql } from 'kysely'
import { selectVolumes } from '../../store/volume-list.ts'
import { listCommand } from '../command.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { tagFilter } from '../tags.ts'
import { choice, flag, id, ids, stateFilter, text } from '../parameters.ts'
import { refuseForUsers } from '../place.ts'
import { narrowTo, pageOf } from '../query.ts'
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
    state: stateFilter('a state', volumeStates),
    virtualmachineid: id<'vm'>('those attached to a machine'),
    zoneid: id<'zone'>('those of a zone'),
    storageid: id<'storage-pool'>('those on a primary storage; administrators only'),
    podid: id<'pod'>('those on primary storages of a pod; administrators only'),
    clusterid: id<'cluster'>('those on primary storages of a cluster; administrators only'),
    hostid: id<'host'>('those attached to machines on a host; administrators only'),
    diskofferingid: id<'disk-offering'>('those of a disk offering'),
    serviceofferingid: id<'service-offering'>('root disks of machines of a service offering'),
    displayvolume: flag('whether users see them'),
    isencrypted: flag('whether they are encrypted; none is'),
    listsystemvms: flag('accepted: there are no system machines'),
    retrieveonlyresourcecount: flag('only how many there are'),
  },
  view: volumeView,
  async run({ app, caller, params, page }) {
    refuseForUsers(caller, params, ['storageid', 'podid', 'clusterid', 'hostid'])
    let volumes = selectVolumes(app.db).where('volume.removed', 'is', null).orderBy('volume.number', 'desc')
    volumes = narrowToOwner(volumes, 'volume.account_id', caller, params).where(hasTags('volume.id', params.tags))
    volumes = narrowTo(volumes, {
      'volume.id': params.id,
      'volume.name': params.name,
      'volume.type': params.type,
      'volume.state': params.state,
      'volume.vm_id': params.virtualmachineid,
      'volume.zone_id': params.zoneid,
      'volume.pool_id': params.storageid,
      'cluster.pod_id': params.podid,
      'cluster.id': params.clusterid,
      'vm.host_id': params.hostid,
      'volume.service_offering_id': params.serviceofferingid,
      'volume.display': params.displayvolume,
    })
    if (params.ids) volumes = volumes.where('volume.id', 'in', params.ids)
    if (params.isencrypted) volumes = volumes.where(sql<boolean>`false`)
    if (params.diskofferingid) volumes = volumes.where('volume.disk_offering_id', '=', params.diskofferingid)
    if (page.keyword) volumes = volumes.where('volume.name', 'ilike', containing(page.keyword))
    const found = await pageOf(volumes, page)
    return params.retrieveonlyresourcecount ? { ...found, items: [] } : found
  },
})
