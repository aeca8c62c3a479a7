// The driver as a job sees it: before each call the lease is looked at once more. A fence protects the database, not the
// hypervisor, and a server that slept through its lease must not act on a machine that another server now looks after.
import type { Driver } from '../drivers/driver.ts'
import type { Forest } from '../drivers/forest.ts'

export interface CallGuard {
  before(call: string): Promise<void>
  after(call: string): void
}

export function guardDriver(driver: Driver, guard: CallGuard): Driver {
  return {
    ...driver,
    hosts: guardCalls('hosts', driver.hosts, guard),
    pools: guardCalls('pools', driver.pools, guard),
    images: guardCalls('images', driver.images, guard),
    layers: guardCalls('layers', driver.layers, guard),
    memory: guardCalls('memory', driver.memory, guard),
    networks: guardCalls('networks', driver.networks, guard),
    forest: driver.forest && guardForest(driver.forest, guard),
    machines: guardCalls('machines', driver.machines, guard),
  }
}

/** What only listens is let through. */
function guardForest({ onInventoryChange, onTask, devices, ...calls }: Forest, guard: CallGuard): Forest {
  const guarded = guardCalls('devices', devices, guard)
  return { ...guardCalls('forest', calls, guard), devices: guarded, onInventoryChange, onTask }
}

type Calls = Record<string, (...args: never[]) => Promise<unknown>>

function guardCalls<T extends object>(group: string, calls: T, guard: CallGuard): T {
  const guarded = Object.entries(calls as Calls).map(([name, call]) => [
    name,
    async (...args: never[]) => {
      await guard.before(`${group}.${name}`)
      const result = await call(...args)
      guard.after(`${group}.${name}`)
      return result
    },
  ])
  return Object.fromEntries(guarded) as T
}
