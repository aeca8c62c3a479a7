// A host on the wire. Sizes are bytes; percentages are texts such as 12.50%, as CloudStack's clients demand.
import type { Row } from '../../store/tables.ts'
import { boolean, date, integer, long, map, string, view } from '../view.ts'

export type ListedHost = Row<'host'> & {
  readonly hypervisor: string
  readonly cluster_name: string
  readonly pod_id: string
  readonly pod_name: string
  readonly zone_id: string
  readonly zone_name: string
  /** What machines that run here, or are about to, occupy. */
  readonly cpus_taken: number
  readonly mhz_taken: number
  readonly memory_mib_taken: number
  readonly disk_bytes: number
  readonly disk_bytes_taken: number
  readonly cpu_factor: number
}

const mib = 2 ** 20

export const hostView = view<ListedHost>('host', {
  id: string('the id of the host', host => host.id),
  name: string('its name', host => host.name),
  type: string('Routing: it runs machines', () => 'Routing'),
  state: string('Up or Down', host => host.state),
  resourcestate: string(
    'Enabled, Disabled, PrepareForMaintenance, Maintenance or ErrorInMaintenance',
    host => host.resource_state,
  ),
  hypervisor: string('its hypervisor', host => host.hypervisor),
  hypervisorversion: string('the version of its hypervisor', host => host.hypervisor_version),
  arch: string('the architecture of its CPUs', host => host.arch),
  ipaddress: string('its address', host => host.address),
  zoneid: string('its zone', host => host.zone_id),
  zonename: string('the name of its zone', host => host.zone_name),
  podid: string('its pod', host => host.pod_id),
  podname: string('the name of its pod', host => host.pod_name),
  clusterid: string('its cluster', host => host.cluster_id),
  clustername: string('the name of its cluster', host => host.cluster_name),
  clustertype: string('who manages its cluster', () => 'CloudManaged'),
  cpunumber: integer('CPUs', host => host.cpus),
  cpuspeed: long('MHz of each', host => host.cpu_mhz),
  cpuwithoverprovisioning: string('MHz that machines may take in all', host => String(mhzOffered(host))),
  cpuallocated: string('share of it that machines take', host => percent(host.mhz_taken, mhzOffered(host))),
  cpuallocatedpercentage: string('the same', host => percent(host.mhz_taken, mhzOffered(host))),
  cpuallocatedvalue: long('MHz that machines take', host => host.mhz_taken),
  memorytotal: long('memory in bytes', host => host.memory_mib * mib),
  memorywithoverprovisioning: string('memory that machines may take in all', host => String(host.memory_mib * mib)),
  memoryallocated: long('memory that machines take', host => host.memory_mib_taken * mib),
  memoryallocatedbytes: long('the same', host => host.memory_mib_taken * mib),
  memoryallocatedpercentage: string('share of it', host => percent(host.memory_mib_taken, host.memory_mib)),
  disksizetotal: long('bytes of the primary storage within reach', host => host.disk_bytes),
  disksizeallocated: long('virtual bytes of the disk layers there', host => host.disk_bytes_taken),
  capabilities: string('what it offers, separated by commas', () => 'hvm,snapshot'),
  details: map(
    'more about it; acceleration is kvm or tcg, networks how guest networks are made or why they cannot be',
    host => ({ acceleration: host.acceleration, networks: host.networks }),
  ),
  lastpinged: date('when it last answered', host => host.last_pinged),
  created: date('when it was added', host => host.created),
})

export type HostForMigration = ListedHost & { readonly wanted: { readonly cpus: number; readonly memory_mib: number } }

export const hostForMigrationView = view<HostForMigration>('host', {
  ...hostView.fields,
  suitableformigration: boolean('whether it is in use and has room for the machine', isSuitable),
  requiresStorageMotion: boolean('whether the disks would have to move too', () => false),
})

function isSuitable(host: HostForMigration): boolean {
  const isOpen = host.state === 'Up' && host.resource_state === 'Enabled'
  const cpusFree = host.cpus * host.cpu_factor - host.cpus_taken
  return isOpen && cpusFree >= host.wanted.cpus && host.memory_mib - host.memory_mib_taken >= host.wanted.memory_mib
}

function mhzOffered(host: ListedHost): number {
  return host.cpus * host.cpu_mhz * host.cpu_factor
}

function percent(part: number, whole: number): string {
  return `${(whole === 0 ? 0 : (100 * part) / whole).toFixed(2)}%`
}
