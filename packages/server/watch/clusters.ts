// Follows clusters whose hypervisor has an inventory of its own: reaches each as its connection says, and keeps hosts and storage pools
// at what it tells. A login that was refused is not tried again until somebody changes the connection, lest the account be locked.
import { setTimeout as delay } from 'node:timers/promises'
import type { ClusterId } from '@ramet/core/ids.ts'
import type { Drivers, ForestDriver } from '../drivers/drivers.ts'
import type { Log } from '../log.ts'
import type { Secrets } from '../secrets.ts'
import { noteProblem, type ReachedCluster, reachedClusters } from '../store/cluster-connections.ts'
import { type Database, inTransaction } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import { applyInventory } from '../store/foreign-inventory.ts'
import type { Host } from '../store/hosts.ts'
import { ensureCapabilities } from '../store/hypervisor-capabilities.ts'
import { noteStrangersActs } from './strangers-acts.ts'

export interface ClusterWatch {
  /** Looks which clusters there are, and reaches those that are not. */
  refresh(): Promise<void>
  /** The same at the start of the server, which waits for vCenters that are silent only so long. */
  begin(limitMs: number): Promise<void>
  close(): void
}

interface Parts {
  readonly db: Database
  readonly drivers: Drivers
  readonly secrets: Secrets
  readonly log: Log
}

export function watchClusters({ db, drivers, secrets, log }: Parts, everyMs = 10_000): ClusterWatch {
  /** When the connection was said that was tried last, and whether another try may end otherwise. */
  const tried = new Map<ClusterId, { readonly said: number; readonly isFinal: boolean }>()
  let looking: Promise<void> | null = null

  async function expected(): Promise<ReachedCluster[]> {
    const found = await reachedClusters(db, secrets)
    for (const { cluster, hypervisor } of found) drivers.expect(cluster, hypervisor)
    return found
  }

  async function look(): Promise<void> {
    const found = await expected()
    const gone = [...tried.keys()].filter(cluster => !found.some(each => each.cluster === cluster))
    for (const cluster of gone) {
      tried.delete(cluster)
      await drivers.forget(cluster)
    }
    await Promise.all(found.map(reach))
  }

  async function reach({ cluster, name, connection, problem: known, updated }: ReachedCluster): Promise<void> {
    const before = tried.get(cluster)
    const isOpen = drivers.isOpen(cluster, connection)
    if (before?.said === Number(updated) && before.isFinal && !isOpen) return
    const problem = isOpen ? null : await drivers.reach(cluster, connection)
    tried.set(cluster, { said: Number(updated), isFinal: problem !== null && problem.kind !== 'unavailable' })
    if (problem?.message === known || (!problem && known === null)) return
    log.warn(
      { cluster: name, problem: problem?.message },
      problem ? 'a cluster cannot be reached' : 'a cluster is reached',
    )
    await noteProblem(db, cluster, problem?.message ?? null)
  }

  const warn = (text: string) => (error: unknown) => log.warn({ err: error }, text)
  drivers.onOpen((cluster, driver) => {
    ensureCapabilities(db, driver).catch(warn('cannot note what a hypervisor can do'))
    const follow = followInventory(db, cluster, driver, warn('cannot follow the inventory of a cluster'))
    return driver.forest.onInventoryChange(follow)
  })
  const refresh = () => (looking ??= look().finally(() => (looking = null)))
  const timer = setInterval(() => void refresh().catch(warn('cannot look for clusters')), everyMs)
  timer.unref()
  const begin = async (limitMs: number) => {
    if ((await expected()).length === 0) return
    const looked = refresh().catch(warn('cannot reach the clusters'))
    await Promise.race([looked, delay(limitMs, undefined, { ref: false })])
  }
  return { refresh, begin, close: () => clearInterval(timer) }
}

/** One look at a time; what changes meanwhile is looked at once more. Begins with a look. */
function followInventory(db: Database, cluster: ClusterId, driver: ForestDriver, warn: (error: unknown) => void) {
  let isLooking = false
  let isStale = false
  const follow = (): void => {
    isStale = true
    if (isLooking) return
    isLooking = true
    void (async () => {
      while (isStale) {
        isStale = false
        const inventory = await driver.forest.inventory()
        await inTransaction(db, async tx => {
          const row = await tx.selectFrom('cluster').select('removed').where('id', '=', cluster).executeTakeFirst()
          if (!row || row.removed) return
          for (const host of await applyInventory(tx, cluster, inventory)) await tell(tx, host)
        })
        await nameHosts(db, cluster, driver)
        // A job that ends changes nothing there, so nobody else would tell.
        if (!(await noteStrangersActs(db, cluster, driver, inventory))) setTimeout(follow, 1000).unref()
      }
    })()
      .catch(warn)
      .finally(() => (isLooking = false))
  }
  follow()
  return follow
}

/** The driver learns our ids of the hosts, by which it tells where machines run. */
async function nameHosts(db: Database, cluster: ClusterId, driver: ForestDriver): Promise<void> {
  for (const host of await db.selectFrom('host').select(['id', 'name']).where('cluster_id', '=', cluster).execute())
    await driver.hosts.facts(host).catch(() => null) // one that is Down is told of by the inventory
}

async function tell(db: Parameters<typeof recordEvent>[0], host: Host): Promise<void> {
  const account = await db.selectFrom('account').select('id').where('type', '=', 'Admin').executeTakeFirstOrThrow()
  await recordEvent(db, {
    type: host.state === 'Up' ? 'HOST.UP' : 'HOST.DOWN',
    level: 'WARN',
    description: host.state === 'Up' ? `host ${host.name} takes machines again` : `host ${host.name} takes no machines`,
    account: account.id,
    resourceType: 'Host',
    resource: host.id,
  })
}
