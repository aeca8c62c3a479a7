// Sees whether each host answers. One that falls silent is Down and gets no work; its machines are what the driver says of them,
// Stopped where they went down with it. One that answers again is Up.
import type { HostFacts } from '../drivers/driver.ts'
import type { Drivers } from '../drivers/drivers.ts'
import type { Log } from '../log.ts'
import type { Database } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import { columnsOf, type Host, machinesOn } from '../store/hosts.ts'
import type { PowerWatch } from './power.ts'

export interface HostWatch {
  refresh(): Promise<void>
  close(): void
}

const notedEveryMs = 60_000

export function watchHosts(db: Database, drivers: Drivers, power: PowerWatch, log: Log, everyMs = 5_000): HostWatch {
  let looking: Promise<void> | null = null

  async function look(): Promise<void> {
    const all = await db.selectFrom('host').selectAll().execute()
    const hosts = all.filter(host => !drivers.isForeign(host.cluster_id)) // the others are told of (clusters.ts)
    const found = await Promise.all(hosts.map(host => drivers.own.hosts.facts(host).catch(() => null)))
    for (const [index, host] of hosts.entries()) await note(host, found[index] ?? null)
    const now = new Date()
    const alive = hosts.filter(
      ({ last_pinged }, index) => found[index] && Number(last_pinged) < Number(now) - notedEveryMs,
    )
    const ids = alive.map(({ id }) => id)
    if (ids.length > 0) await db.updateTable('host').set({ last_pinged: now }).where('id', 'in', ids).execute()
  }

  async function note(host: Host, facts: HostFacts | null): Promise<void> {
    const state = facts ? 'Up' : 'Down'
    const columns = facts ? columnsOf(facts) : {}
    const isNews = host.state !== state
    if (isNews) await tellState(host, state)
    if (isNews || Object.entries(columns).some(([name, value]) => host[name as keyof Host] !== value))
      await db
        .updateTable('host')
        .set({ ...columns, state })
        .where('id', '=', host.id)
        .execute()
    if (isNews && state === 'Down')
      for (const vm of await machinesOn(db, host.id)) await power.settle(vm.id, `its host ${host.name} went down`)
  }

  async function tellState(host: Host, state: Host['state']): Promise<void> {
    log.warn({ host: host.name }, state === 'Up' ? 'a host is back' : 'a host does not answer')
    const account = await db.selectFrom('account').select('id').where('type', '=', 'Admin').executeTakeFirstOrThrow()
    await recordEvent(db, {
      type: state === 'Up' ? 'HOST.UP' : 'HOST.DOWN',
      level: 'WARN',
      description: state === 'Up' ? `host ${host.name} answers again` : `host ${host.name} does not answer`,
      account: account.id,
      resourceType: 'Host',
      resource: host.id,
    })
  }

  /** One look at a time; who asks while one is under way waits for it. */
  const refresh = () => (looking ??= look().finally(() => (looking = null)))
  const timer = setInterval(() => {
    refresh().catch(error => log.warn({ err: error }, 'cannot look after the hosts'))
  }, everyMs)
  timer.unref()
  return { refresh, close: () => clearInterval(timer) }
}
