// The inventory of a cluster in the server's words: hosts, datastores, networks and machines, as far as vSphere has told.
import { parseId } from '@ramet/core/ids.ts'
import type { HostFacts } from '../driver.ts'
import type { ForeignHost, ForeignInventory, ForeignMachine, ForeignPool } from '../forest.ts'
import { type Cluster, type HostItem, pathOf } from './cluster.ts'
import type { Item } from './inventory.ts'
import type { MachineRef, Ours } from './ours.ts'
import { asPower } from './power.ts'
import { snapshotTree } from './snapshots.ts'
import type { Ref } from './vim25/schema.ts'

export function foreignInventory(cluster: Cluster, ours: Ours): ForeignInventory {
  const { inventory } = cluster
  const hosts = new Map<Ref, HostItem>(cluster.hosts())
  const isSeed = (ref: MachineRef) => ours.what(ref)?.kind === 'seed'
  const machines = [...inventory.all('VirtualMachine')].filter(
    ([ref, vm]) => hosts.has(vm['runtime.host'] ?? 'Host:') && !isSeed(ref),
  )
  return {
    hosts: [...hosts.values()].map(foreignHost),
    pools: cluster.datastores().map(([, datastore]) => foreignPool(datastore)),
    networks: cluster.networks().flatMap(([, { name }]) => name ?? []),
    machines: machines.map(([ref, vm]) => {
      const host = hosts.get(vm['runtime.host'] ?? 'Host:')?.name ?? null
      return { ...foreignMachine(ref, vm, ours), path: pathOf(inventory, ref), host }
    }),
  }
}

/** Lets listeners know when the inventory has changed, and it is known what in it is ours. */
export function inventoryNews({ inventory }: Cluster, ours: Ours): (listener: () => void) => () => void {
  const listeners = new Set<() => void>()
  inventory.onChange(async () => {
    await ours.learn().catch(() => {}) // the next change makes good for it
    for (const each of listeners) each()
  })
  return listener => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }
}

export function hostFacts(host: HostItem): HostFacts {
  return {
    hypervisorVersion: `VMware ESXi ${host['summary.config.product.version'] ?? ''}`.trim(),
    acceleration: 'esxi',
    cpus: host['summary.hardware.numCpuThreads'] ?? 0,
    cpuMhz: host['summary.hardware.cpuMhz'] ?? 0,
    memoryMib: Math.floor((host['summary.hardware.memorySize'] ?? 0) / 2 ** 20),
    arch: 'x86_64',
    networks: "none: machines are plugged into vSphere's own networks",
  }
}

function foreignHost(host: HostItem): ForeignHost {
  const connected = host['runtime.connectionState'] === 'connected'
  const up = host['runtime.inMaintenanceMode'] === true ? 'Maintenance' : 'Up'
  return { name: host.name ?? '', state: connected ? up : 'Disconnected', facts: hostFacts(host) }
}

function foreignPool(datastore: Item<'Datastore'>): ForeignPool {
  const name = datastore.name ?? ''
  return {
    path: name,
    name,
    type: datastore['summary.type'] ?? '',
    problem: datastore['summary.accessible'] === true ? null : `no host reaches the datastore ${name} now`,
    totalBytes: datastore['summary.capacity'] ?? 0,
    freeBytes: datastore['summary.freeSpace'] ?? 0,
  }
}

type Vm = Item<'VirtualMachine'>

function foreignMachine(ref: MachineRef, vm: Vm, ours: Ours): Omit<ForeignMachine, 'path' | 'host'> {
  const snapshots = snapshotTree(vm.snapshot)
  const ids = snapshots.flatMap(({ id, isFork }) => (isFork || id === null ? [] : (parseId<'vm-snapshot'>(id) ?? [])))
  return {
    foreign: ref.slice(ref.indexOf(':') + 1),
    isTemplate: vm['config.template'] === true,
    power: asPower(vm['runtime.powerState']),
    vm: ours.vmOf(ref),
    guestOs: vm['config.guestFullName'] ?? null,
    snapshots: ids,
    foreignSnapshots: snapshots.flatMap(({ id, name }) => (id === null ? [name] : [])),
  }
}
