// The drivers of one server: its own, and one for each cluster that is reached by a connection (docs/decisions/0032). Who works on a
// machine, host or pool asks for the driver of its cluster, and branches on what that can do.
import type { Hypervisor } from '@ramet/core/clone-type.ts'
import type { ClusterId } from '@ramet/core/ids.ts'
import { asProblem, Problem } from '@ramet/core/problem.ts'
import type { Capabilities, Driver } from './driver.ts'
import type { Forest } from './forest.ts'
import { silentDriver } from './silent-driver.ts'

/** How the hypervisor of a cluster is reached. */
export interface Connection {
  /** https://HOST/DATACENTER/CLUSTER, as CloudStack writes it. */
  readonly url: string
  readonly username: string
  readonly password: string
  /** SHA-256 of the one certificate that is trusted; null: those that this machine trusts. */
  readonly thumbprint: string | null
}

/** A driver whose hypervisor keeps its own disks. */
export type ForestDriver = Driver & { readonly forest: Forest }

/** A kind of driver that is opened by a connection. */
export interface Opener {
  readonly hypervisor: Hypervisor
  /** What its drivers can do, known before one is open. */
  readonly capabilities: Capabilities
  open(connection: Connection): Promise<ForestDriver>
}

export type Opened = (cluster: ClusterId, driver: ForestDriver) => () => void

interface Entry {
  driver: Driver
  readonly opener: Opener
  /** Null while it is not open, with why in `problem`. */
  open: ForestDriver | null
  /** What it was opened by. */
  connection: Connection | null
  problem: Problem
  leave: (() => void)[]
}

export class Drivers {
  readonly own: Driver
  readonly #openers: readonly Opener[]
  readonly #entries = new Map<ClusterId, Entry>()
  readonly #listeners = new Set<Opened>()

  constructor(own: Driver, openers: readonly Opener[]) {
    this.own = own
    this.#openers = openers
  }

  /** Null, and every cluster without a connection, is the server's own. */
  of(cluster: ClusterId | null): Driver {
    return (cluster && this.#entries.get(cluster)?.driver) || this.own
  }

  /** Is the cluster reached by a connection? */
  isForeign(cluster: ClusterId): boolean {
    return this.#entries.has(cluster)
  }

  /** Why the cluster's hypervisor cannot be used now; null: it can. */
  troubleOf(cluster: ClusterId | null): Problem | null {
    const entry = cluster && this.#entries.get(cluster)
    return entry && !entry.open ? entry.problem : null
  }

  get hasForeign(): boolean {
    return this.#entries.size > 0
  }

  opened(): [ClusterId, ForestDriver][] {
    return [...this.#entries].flatMap(([cluster, { open }]) =>
      open ? [[cluster, open] as [ClusterId, ForestDriver]] : [],
    )
  }

  /** Is it open, and by this connection? */
  isOpen(cluster: ClusterId, by: Connection): boolean {
    const { open, connection } = this.#entries.get(cluster) ?? {}
    const keys = ['url', 'username', 'password', 'thumbprint'] as const
    return open != null && keys.every(key => connection?.[key] === by[key])
  }

  /** Hypervisors that are reached by a connection. */
  get hypervisors(): Hypervisor[] {
    return this.#openers.map(({ hypervisor }) => hypervisor)
  }

  opener(hypervisor: string): Opener {
    const found = this.#openers.find(each => each.hypervisor === hypervisor)
    if (!found) throw new Problem('invalid', 'no-such-hypervisor', `This server has no driver for ${hypervisor}`)
    return found
  }

  /** From here on the cluster is one that is reached by a connection, though nobody has reached it yet. */
  expect(cluster: ClusterId, hypervisor: Hypervisor): void {
    if (this.#entries.has(cluster)) return
    const opener = this.opener(hypervisor)
    const problem = new Problem(
      'unavailable',
      'cluster-silent',
      'The server has not reached the cluster yet; try again',
    )
    const entry: Entry = { opener, open: null, connection: null, problem, leave: [], driver: this.own }
    entry.driver = silentDriver(opener, () => entry.problem)
    this.#entries.set(cluster, entry)
  }

  /** The driver is the cluster's now, in place of one before. */
  async take(cluster: ClusterId, driver: ForestDriver, connection: Connection): Promise<void> {
    const entry = this.#entries.get(cluster)
    if (!entry) return driver.close()
    await this.#shut(entry)
    entry.open = driver
    entry.connection = connection
    entry.driver = driver
    entry.leave = [...this.#listeners].map(listener => listener(cluster, driver))
  }

  /** Opens a driver for the cluster; where that fails, its calls are refused with the reason from here on. */
  async reach(cluster: ClusterId, connection: Connection): Promise<Problem | null> {
    const entry = this.#entries.get(cluster)
    if (!entry) return null
    try {
      await this.take(cluster, await entry.opener.open(connection), connection)
      return null
    } catch (error) {
      entry.problem = asProblem(error)
      return entry.problem
    }
  }

  async forget(cluster: ClusterId): Promise<void> {
    const entry = this.#entries.get(cluster)
    this.#entries.delete(cluster)
    if (entry) await this.#shut(entry)
  }

  async #shut(entry: Entry): Promise<void> {
    const { open, leave } = entry
    entry.open = null
    entry.leave = []
    entry.driver = silentDriver(entry.opener, () => entry.problem)
    for (const each of leave) each()
    await open?.close()
  }

  /** Calls `listener` with each driver of a cluster that is open or will be; what it returns is called when that closes. */
  onOpen(listener: Opened): void {
    this.#listeners.add(listener)
    for (const entry of this.#entries) if (entry[1].open) entry[1].leave.push(listener(entry[0], entry[1].open))
  }

  async close(): Promise<void> {
    for (const cluster of [...this.#entries.keys()]) await this.forget(cluster)
  }
}
