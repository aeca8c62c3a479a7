// A cluster on the wire.
import type { Row } from '../../store/tables.ts'
import { string, view } from '../view.ts'

export type ListedCluster = Row<'cluster'> & {
  readonly pod_name: string
  readonly zone_id: string
  readonly zone_name: string
  readonly cpu_factor: number
  /** How it is reached, where it is one of others. */
  readonly url: string | null
  readonly username: string | null
  readonly thumbprint: string | null
  readonly guest_network: string | null
  /** Why it does not answer. */
  readonly problem: string | null
}

export const clusterView = view<ListedCluster>('cluster', {
  id: string('the id of the cluster', cluster => cluster.id),
  name: string('its name', cluster => cluster.name),
  zoneid: string('its zone', cluster => cluster.zone_id),
  zonename: string('the name of its zone', cluster => cluster.zone_name),
  podid: string('its pod', cluster => cluster.pod_id),
  podname: string('the name of its pod', cluster => cluster.pod_name),
  hypervisortype: string('the hypervisor of its hosts', cluster => cluster.hypervisor),
  clustertype: string('who manages it: CloudManaged, or ExternalManaged by a vCenter', clusterTypeOf),
  managedstate: string('Managed or Unmanaged', () => 'Managed'),
  url: string('where its vCenter is', cluster => cluster.url),
  username: string('as whom the server uses it', cluster => cluster.username),
  thumbprint: string('SHA-256 of the one certificate that is trusted', cluster => cluster.thumbprint),
  guestvswitchname: string(
    'the network of the vCenter that machines are plugged into',
    cluster => cluster.guest_network,
  ),
  problem: string('why the vCenter cannot be used now', cluster => cluster.problem),
  allocationstate: string('Enabled or Disabled', cluster => cluster.allocation_state),
  cpuovercommitratio: string('virtual CPUs offered per CPU', cluster => String(cluster.cpu_factor)),
  memoryovercommitratio: string('memory offered per memory', () => '1'),
})

export function clusterTypeOf({ url }: Pick<ListedCluster, 'url'>): string {
  return url === null ? 'CloudManaged' : 'ExternalManaged'
}
