// The server's parts as the API door sees them. Built and joined in build.ts.
import type { VmId } from '@ramet/core/ids.ts'
import type { Hypervisor } from '@ramet/core/clone-type.ts'
import type { Config } from './config.ts'
import type { Capabilities, HostFacts, HostMemory, HostRef, PoolRef, Space } from './drivers/driver.ts'
import type { Runner } from './jobs/runner.ts'
import type { Log } from './log.ts'
import type { Passwords } from './passwords.ts'
import type { Secrets } from './secrets.ts'
import type { Settings } from './settings.ts'
import type { Database } from './store/database.ts'
import type { Changes } from './watch/changes.ts'

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
  /** What drives the machines, and what it can do. */
  readonly hypervisor: Hypervisor
  readonly capabilities: Capabilities
  /** What a host is and has; a Problem when it does not answer. */
  hostFacts(host: HostRef): Promise<HostFacts>
  /** What is free of its memory, measured now. */
  hostMemory(host: HostRef): Promise<HostMemory>
  /** The end of a machine's console output. */
  consoleLog(vm: VmId, maxBytes: number): Promise<Uint8Array>
  /** Folders of primary storage on the hosts. */
  readonly storage: {
    addPool(pool: PoolRef): Promise<Space>
    releasePool(pool: PoolRef): Promise<void>
  }
}
