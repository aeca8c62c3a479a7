// A cluster on the wire.
import type { Row } from '../../store/tables.ts'
import { string, view } from '../view.ts'

export type ListedCluster = Row<'cluster'> & {
  readonly pod_name: string
  readonly zone_id: string
  readonly zone_name: string
  readonly cpu_factor: number
}

export const clusterView = view<ListedCluster>('cluster', {
  id: string('the id of the cluster', cluster => cluster.id),
  name: string('its name', cluster => cluster.name),
  zoneid: string('its zone', cluster => cluster.zone_id),
  zonename: string('the name of its zone', cluster => cluster.zone_name),
  podid: string('its pod', cluster => cluster.pod_id),
  podname: string('the name of its pod', cluster => cluster.pod_name),
  hypervisortype: string('the hypervisor of its hosts', cluster => cluster.hypervisor),
  clustertype: string('who manages it', () => 'CloudManaged'),
  managedstate: string('Managed or Unmanaged', () => 'Managed'),
  allocationstate: string('Enabled or Disabled', cluster => cluster.allocation_state),
  cpuovercommitratio: string('virtual CPUs offered per CPU', cluster => String(cluster.cpu_factor)),
  memoryovercommitratio: string('memory offered per memory', () => '1'),
})
