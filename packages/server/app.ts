// The server's parts as the API door sees them. Built and joined in build.ts.
import type { ClusterId, VmId } from '@ramet/core/ids.ts'
import type { Hypervisor } from '@ramet/core/clone-type.ts'
import type { Config } from './config.ts'
import type { Capabilities, HostFacts, HostMemory, HostRef, PoolRef, Space } from './drivers/driver.ts'
import type { Connection } from './drivers/drivers.ts'
import type { ForeignInventory } from './drivers/forest.ts'
import type { Runner } from './jobs/runner.ts'
import type { Log } from './log.ts'
import type { Passwords } from './passwords.ts'
import type { Secrets } from './secrets.ts'
import type { Settings } from './settings.ts'
import type { Database } from './store/database.ts'
import type { Changes } from './watch/changes.ts'
import type { Spares } from './watch/warm.ts'

export type { Connection, ForeignInventory }
export type { ForeignMachine } from './drivers/forest.ts'

export interface App {
  /** Where the server is reached; known when it listens. */
  readonly address: { url: string }
  readonly config: Config
  readonly db: Database
  readonly settings: Settings
  readonly secrets: Secrets
  readonly passwords: Passwords
  readonly jobs: Runner
  readonly changes: Changes
  readonly log: Log
  /** What drives the machines of this server's own clusters. */
  readonly hypervisor: Hypervisor
  /** What the hypervisor of a cluster can do; null: this server's own. */
  capabilitiesOf(cluster: ClusterId | null): Capabilities
  readonly clusters: Clusters
  /** What a host is and has; a Problem when it does not answer. */
  hostFacts(host: HostRef): Promise<HostFacts>
  /** What is free of its memory, measured now. */
  hostMemory(host: HostRef, cluster: ClusterId | null): Promise<HostMemory>
  /** Processes that wait for instant clones. */
  readonly spares: Spares
  /** The end of a machine's console output. */
  consoleLog(vm: VmId, maxBytes: number): Promise<Uint8Array>
  /** Folders of primary storage on the hosts. */
  readonly storage: {
    addPool(pool: PoolRef): Promise<Space>
    releasePool(pool: PoolRef): Promise<void>
  }
}

/** Clusters that are reached by a connection, for their hypervisor keeps its own disks. */
export interface Clusters {
  /** Their hypervisors. */
  readonly hypervisors: readonly Hypervisor[]
  /** Tries a connection; a Problem where it is refused. */
  reach(hypervisor: Hypervisor, connection: Connection): Promise<Reached>
  /** What the hypervisor of the cluster has; 'unavailable' where it does not answer. */
  inventory(cluster: ClusterId): Promise<ForeignInventory>
  /** Lets go of clusters that are gone, and reaches those that are not. */
  refresh(): Promise<void>
}

export interface Reached {
  readonly inventory: ForeignInventory
  /** Those there that are this server's. */
  readonly machines: readonly VmId[]
  /** From here on the cluster is driven over this connection. */
  keep(cluster: ClusterId): Promise<void>
  drop(): Promise<void>
}
