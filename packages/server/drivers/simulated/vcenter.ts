// A simulated vCenter: the driver of a cluster whose hypervisor keeps its own disks, with hosts, datastores and templates that are there
// before anybody asks. It is slow and fails where the settings simulated.* say so, as the other simulated hosts do.
import { createHash } from 'node:crypto'
import { Problem } from '@ramet/core/problem.ts'
import type { HostId } from '@ramet/core/ids.ts'
import type { Capabilities, HostFacts, HostRef, PoolRef, PowerChange } from '../driver.ts'
import type { Connection, ForestDriver, Opener } from '../drivers.ts'
import { noLayers } from '../own-disks.ts'
import { type Calling, callingOf } from './calling.ts'
import { simulatedForest } from './forest.ts'
import { type Kept, keptAs, put } from './kept.ts'
import { copied } from './kept-disks.ts'
import { simulatedNetworks } from './networks.ts'
import { vcenterMachines } from './vcenter-machines.ts'
import { type VcenterTasks, vcenterTasks } from './vcenter-tasks.ts'
import { isDown, type World } from './world.ts'

export const capabilities: Capabilities = {
  disks: 'machines',
  reflink: false,
  linkedClone: true,
  fullClone: true,
  consoleLog: false,
  gracefulStop: true,
  highestDeviceId: 15,
  mostNics: 10,
  migrate: true,
  addHosts: false,
  vmSnapshot: true,
  memorySnapshot: true,
  instantClone: true,
  liveMerge: true,
  longestChain: 32,
  consolidateAt: 16,
  mostDeltas: 255,
  networks: false,
}

export const datastoreBytes = 2 ** 44

/** What one simulated vCenter is made of. */
export interface Vcenter {
  readonly world: World
  /** Its address, by which it is told apart. */
  readonly id: string
  readonly hosts: readonly string[]
  readonly datastores: readonly string[]
  readonly networks: readonly string[]
  readonly call: Calling
  readonly tasks: VcenterTasks
  /** Ids of ours by names of hosts, as far as anybody spoke of them. */
  readonly hostIds: Map<string, HostId>
}

/** Only a password of `wrong` is refused; the certificate has a thumbprint of its own, and is not one that machines trust. */
export function simulatedOpener(world: World): Opener {
  return {
    hypervisor: 'VMware',
    capabilities,
    open: async connection => {
      demandTrust(connection)
      if (connection.password === 'wrong')
        throw new Problem(
          'refused',
          'vsphere-login',
          'The simulated vCenter does not accept the user name and password',
        )
      return simulatedVcenter(world, connection.url)
    },
  }
}

export function thumbprintOf(url: string): string {
  const hex = createHash('sha256').update(new URL(url).host).digest('hex').toUpperCase()
  return (hex.match(/../g) ?? []).join(':')
}

/** As a real one with a certificate of its own; `trusted.` at the beginning of its name makes it one that machines trust. */
function demandTrust({ url, thumbprint }: Connection): void {
  const own = thumbprintOf(url)
  if (thumbprint === null ? new URL(url).host.startsWith('trusted.') : thumbprint.toUpperCase() === own) return
  throw new Problem(
    'refused',
    'vsphere-untrusted',
    `The certificate of ${new URL(url).host} is not trusted; it is ${own}`,
  )
}

export function simulatedVcenter(world: World, url: string): ForestDriver {
  const { host: name, pathname } = new URL(url)
  const cluster = decodeURIComponent(pathname.split('/').filter(Boolean).at(-1) ?? 'cluster')
  const id = `${name}${pathname}`
  const call = callingOf(world)
  const vcenter: Vcenter = {
    world,
    id,
    hosts: [1, 2].map(number => `${cluster}-esx-${number}.${name}`),
    datastores: [`${cluster}-ssd`, `${cluster}-hdd`],
    networks: ['VM Network', 'lab'],
    call,
    tasks: vcenterTasks(world),
    hostIds: new Map(),
  }
  furnish(vcenter)
  const listeners = new Set<(change: PowerChange) => void>()
  const forest = simulatedForest(vcenter)
  const mine = (news: PowerChange) => keptAs(world, id, news.vm) !== undefined
  const hear = (news: PowerChange) => mine(news) && listeners.forEach(each => each(news))
  world.listeners.add(hear)
  return {
    hypervisor: 'VMware',
    capabilities,
    ...noLayers,
    hosts: {
      facts: async host => {
        await call('hosts.facts')
        vcenter.hostIds.set(host.name, host.id)
        demandHost(vcenter, host)
        return hostFacts
      },
      memory: async host => {
        demandHost(vcenter, host)
        return { availableBytes: 2 ** 40, storeFreeBytes: 2 ** 40 }
      },
    },
    pools: {
      prepare: async pool => demandDatastore(vcenter, pool),
      space: async pool => {
        demandDatastore(vcenter, pool)
        return { totalBytes: datastoreBytes, freeBytes: datastoreBytes / 2 }
      },
      release: async () => {},
    },
    networks: simulatedNetworks(world, call),
    forest,
    machines: vcenterMachines(vcenter),
    onPowerChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: async () => void world.listeners.delete(hear),
  }
}

export function demandHost({ world, hosts }: Vcenter, host: HostRef): void {
  if (!hosts.includes(host.name) || isDown(world, host))
    throw new Problem('unavailable', 'host-silent', `Host ${host.name} does not answer`)
}

export function demandDatastore({ datastores }: Vcenter, { path }: PoolRef): void {
  if (!datastores.includes(path))
    throw new Problem('unavailable', 'pool-missing', `The simulated vCenter has no datastore ${path}`)
}

export const hostFacts: HostFacts = {
  hypervisorVersion: '8.0.3',
  acceleration: 'simulated',
  cpus: 64,
  cpuMhz: 2000,
  memoryMib: 2 ** 20,
  arch: 'x86_64',
  networks: 'none: the hypervisor has its own',
}

/** A template and a machine of somebody else's, as any vCenter has some. */
function furnish({ world, id }: Vcenter): void {
  if ([...world.kept.values()].some(({ vcenter }) => vcenter === id)) return
  for (const [number, isTemplate] of [true, false].entries()) {
    const name = isTemplate ? 'debian-12' : 'wiki'
    const disk = copied({ vcenter: id, name }, { deviceId: 0, virtualBytes: 2 ** 31, files: [], blocks: { 0: name } })
    put(world, { ...emptyKept, foreign: `vm-${number + 1}@${id}`, vcenter: id, name, isTemplate, disks: [disk] })
  }
}

export const emptyKept: Omit<Kept, 'foreign' | 'vcenter' | 'name'> = {
  as: null,
  isTemplate: false,
  power: 'off',
  host: null,
  cpus: 1,
  memoryMib: 1024,
  disks: [],
  snapshots: [],
  current: null,
  networks: [],
  memory: '',
  operation: null,
}
