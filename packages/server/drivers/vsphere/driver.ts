// The vSphere driver: one cluster of a vCenter, whose machines keep their own disks. The parts: vim25/ speaks VMware's API; cluster.ts
// knows what the cluster has, ours.ts which of its machines are ours; forest.ts and machines.ts do what the server asks.
import { Problem } from '@ramet/core/problem.ts'
import type { Capabilities, Driver, HostMemory, HostRef, PoolRef } from '../driver.ts'
import type { Forest } from '../forest.ts'
import { noNetworks } from '../no-networks.ts'
import { noLayers } from '../own-disks.ts'
import { Cluster } from './cluster.ts'
import { vsphereForest } from './forest.ts'
import { hostFacts } from './foreign.ts'
import { Inventory } from './inventory.ts'
import { Machines } from './machines.ts'
import { Nodes } from './nodes.ts'
import { Ours } from './ours.ts'
import { telling, tellingAll } from './problems.ts'
import { Vcenter, type VcenterOptions } from './vcenter.ts'
import { readObject } from './vim25/properties.ts'

export interface VsphereOptions extends VcenterOptions {
  /** The cluster, or host that stands alone: by its name, or by its datacenter's and its own such as DC0/C0. */
  readonly cluster: string
  /** The folder in its datacenter that our machines are made in. */
  readonly folder?: string
}

export type VsphereDriver = Driver & { readonly forest: Forest }

export async function vsphereDriver(options: VsphereOptions): Promise<VsphereDriver> {
  const what = `vSphere at ${new URL(options.url).host}`
  const vcenter = await telling(what, () => Vcenter.open(options))
  let inventory: Inventory | null = null
  try {
    inventory = await telling(what, () => Inventory.open(vcenter))
    return driverOf(new Cluster(vcenter, inventory, options.cluster, options.folder ?? 'Ramet'))
  } catch (error) {
    await inventory?.close()
    await vcenter.close()
    throw error
  }
}

/** Of the newest vSphere that we know; what an older one lacks, its driver says. */
export const capabilities: Capabilities = {
  disks: 'machines',
  reflink: false,
  linkedClone: true,
  fullClone: true,
  consoleLog: false,
  gracefulStop: true,
  highestDeviceId: 14, // of one controller
  mostNics: 10,
  migrate: true,
  addHosts: false,
  vmSnapshot: true,
  memorySnapshot: true,
  instantClone: true, // from 6.7 on
  liveMerge: true,
  longestChain: 32,
  consolidateAt: 16,
  mostDeltas: 255,
  networks: false,
}

function driverOf(cluster: Cluster): VsphereDriver {
  const { vcenter, inventory } = cluster
  const ours = new Ours(cluster)
  const nodes = new Nodes(vcenter, ours)
  const machines = new Machines(cluster, ours, nodes)
  return {
    hypervisor: 'VMware',
    capabilities: { ...capabilities, instantClone: vcenter.features.instantClone },
    hosts: tellingAll('The host', {
      facts: async (host: HostRef) => {
        machines.knowHost(host)
        return hostFacts(cluster.hostNamed(host.name)[1])
      },
      memory: (host: HostRef) => memoryOf(cluster, host.name),
    }),
    pools: tellingAll('The datastore', {
      prepare: async ({ path }: PoolRef) => void cluster.datastoreNamed(path),
      space: ({ path }: PoolRef) => spaceOf(cluster, path),
      release: async () => {}, // nothing of ours is on a datastore besides machines
    }),
    ...noLayers,
    networks: noNetworks("Machines on vSphere are plugged into vSphere's own networks"),
    forest: tellingForest(vsphereForest(cluster, ours, nodes, machines)),
    machines: tellingAll('The machine', machines.calls()),
    onPowerChange: listener => machines.power.listen(listener),
    async close() {
      await inventory.close()
      await vcenter.close()
    },
  }
}

function tellingForest({ devices, ...calls }: Forest): Forest {
  return { ...tellingAll('The machine', calls), devices: tellingAll('The machine', devices) }
}

async function memoryOf(cluster: Cluster, name: string): Promise<HostMemory> {
  const [ref] = cluster.hostNamed(name)
  const paths = ['summary.hardware.memorySize', 'summary.quickStats.overallMemoryUsage'] as const
  const found = await readObject(cluster.vcenter.connection, ref, paths)
  const usedMib = found['summary.quickStats.overallMemoryUsage'] ?? 0
  const availableBytes = Math.max(0, (found['summary.hardware.memorySize'] ?? 0) - usedMib * 2 ** 20)
  return { availableBytes, storeFreeBytes: availableBytes }
}

async function spaceOf(cluster: Cluster, name: string) {
  const ref = cluster.datastoreNamed(name)
  const paths = ['summary.capacity', 'summary.freeSpace', 'summary.accessible'] as const
  const found = await readObject(cluster.vcenter.connection, ref, paths)
  if (found['summary.accessible'] !== true)
    throw new Problem('unavailable', 'pool-missing', `No host of the cluster reaches the datastore ${name}`)
  return { totalBytes: found['summary.capacity'] ?? 0, freeBytes: found['summary.freeSpace'] ?? 0 }
}
