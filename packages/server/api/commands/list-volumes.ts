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
    if (params.id) volumes = volumes.where('volume.id', '=', params.id)
    if (params.ids) volumes = volumes.where('volume.id', 'in', params.ids)
    if (params.name) volumes = volumes.where('volume.name', '=', params.name)
    if (params.type) volumes = volumes.where('volume.type', '=', params.type)
    if (params.state) volumes = volumes.where('volume.state', '=', params.state)
    if (params.virtualmachineid) volumes = volumes.where('volume.vm_id', '=', params.virtualmachineid)
    if (params.zoneid) volumes = volumes.where('volume.zone_id', '=', params.zoneid)
    if (params.storageid) volumes = volumes.where('volume.pool_id', '=', params.storageid)
    if (params.podid) volumes = volumes.where('cluster.pod_id', '=', params.podid)
    if (params.clusterid) volumes = volumes.where('cluster.id', '=', params.clusterid)
    if (params.hostid) volumes = volumes.where('vm.host_id', '=', params.hostid)
    if (params.serviceofferingid) volumes = volumes.where('volume.service_offering_id', '=', params.serviceofferingid)
    if (params.displayvolume !== undefined) volumes = volumes.where('volume.display', '=', params.displayvolume)
    if (params.isencrypted) volumes = volumes.where(sql<boolean>`false`)
    if (params.diskofferingid) volumes = volumes.where('volume.disk_offering_id', '=', params.diskofferingid)
    if (page.keyword) volumes = volumes.where('volume.name', 'ilike', containing(page.keyword))
    const found = await pageOf(volumes, page)
    return params.retrieveonlyresourcecount ? { ...found, items: [] } : found
  },
})
