// A primary storage on the wire.
import type { Row } from '../../store/tables.ts'
import { boolean, date, long, string, view } from '../view.ts'

export type ListedStoragePool = Row<'storage_pool'> & {
  readonly hypervisor: string
  readonly cluster_name: string
  readonly pod_id: string
  readonly pod_name: string
  readonly zone_id: string
  readonly zone_name: string
  /** Virtual bytes of all its layers. */
  readonly virtual_bytes: number
  /** As people see it: Down where the folder is not there. */
  readonly shown_state: string
}

export const storagePoolView = view<ListedStoragePool>('storagepool', {
  id: string('the id of the storage pool', pool => pool.id),
  name: string('its name', pool => pool.name),
  type: string('its kind, such as Filesystem', pool => pool.type),
  state: string('Up, Down, Disabled, PrepareForMaintenance or Maintenance', pool => pool.shown_state),
  error: string('why it is not there, if it is not', pool => pool.problem),
  tags: string('storage tags, separated by commas', pool => (pool.tags.length > 0 ? pool.tags.join(',') : null)),
  scope: string('CLUSTER: the hosts of its cluster reach it', () => 'CLUSTER'),
  path: string('its folder on the hosts', pool => pool.path),
  hypervisor: string('the hypervisor that uses it', pool => pool.hypervisor),
  managed: boolean('whether an array makes a volume for each disk', () => false),
  zoneid: string('its zone', pool => pool.zone_id),
  zonename: string('the name of its zone', pool => pool.zone_name),
  podid: string('its pod', pool => pool.pod_id),
  podname: string('the name of its pod', pool => pool.pod_name),
  clusterid: string('its cluster', pool => pool.cluster_id),
  clustername: string('the name of its cluster', pool => pool.cluster_name),
  disksizetotal: long('bytes in all', pool => pool.total_bytes),
  disksizeused: long('bytes in use', pool => pool.total_bytes - pool.free_bytes),
  disksizeallocated: long('virtual bytes of the disk layers on it', pool => pool.virtual_bytes),
  created: date('when it was added', pool => pool.created),
})
