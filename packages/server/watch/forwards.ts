// Makes the hypervisor's ports agree with the rules for forwarding them, both ways: at the start, and now and then. Ports for SSH are
// the driver's own. Rules that a job is still making are left to it; one whose job was given up goes.
import { settlePort } from '../jobs/settle-port.ts'
import type { Driver } from '../drivers/driver.ts'
import type { Log } from '../log.ts'
import { type Database, inTransaction } from '../store/database.ts'
import { jobOn } from '../store/jobs.ts'
import { holdRule, type Port, revokeRules, ruleLock } from '../store/port-forwarding.ts'

export interface ForwardWatch {
  settle(): Promise<void>
  close(): void
}

export function watchForwards(db: Database, driver: Driver, log: Log, everyMs = 60_000): ForwardWatch {
  async function settle(): Promise<void> {
    if (!driver.capabilities.networks) return
    await revokeUnmade(db)
    for (const port of await portsThatDiffer(db, driver))
      await settlePort({ db, driver }, port).then(
        () => log.warn({ ...port }, 'a port of this host did not lead where its rule says, and was settled'),
        error => log.warn({ err: error, ...port }, 'a port of this host cannot be settled'),
      )
  }

  const timer = setInterval(() => {
    settle().catch(error => log.error({ err: error }, 'cannot look where ports of this host lead'))
  }, everyMs)
  timer.unref()
  return { settle, close: () => clearInterval(timer) }
}

/** A job that makes a rule is there as long as the rule is in Add: both are written down at once. */
async function revokeUnmade(db: Database): Promise<void> {
  const unmade = await db.selectFrom('port_forwarding_rule').select('id').where('state', '=', 'Add').execute()
  for (const { id } of unmade)
    await inTransaction(db, async tx => {
      const rule = await holdRule(tx, id)
      if (rule?.state === 'Add' && !(await jobOn(tx, ruleLock(id)))) await revokeRules(tx, { rule: id })
    })
}

/** The driver is asked first: what it has of a rule that is made meanwhile is not taken for a leftover. */
async function portsThatDiffer(db: Database, driver: Driver): Promise<Port[]> {
  const forwards = (await driver.networks.forwards()).filter(({ ssh }) => ssh === null)
  const rules = await db
    .selectFrom('port_forwarding_rule')
    .innerJoin('nic', 'nic.id', 'port_forwarding_rule.nic_id')
    .select(['address', 'public_port as port', 'private_port', 'port_forwarding_rule.state'])
    .select(['nic.ip_address', 'nic.network_id'])
    .execute()
  const wanted = new Set(rules.map(keyOf))
  const led = new Map(
    forwards.map(({ network, to, ...forward }) => [keyOf(forward), `${network} ${to.address} ${to.port}`]),
  )
  const leftovers = forwards.filter(forward => !wanted.has(keyOf(forward)))
  const astray = rules.filter(rule => {
    if (rule.state === 'Add') return false
    const leads = `${rule.network_id} ${rule.ip_address} ${rule.private_port}`
    return rule.state === 'Revoke' || led.get(keyOf(rule)) !== leads
  })
  return [...leftovers, ...astray].map(({ address, port }) => ({ address, port }))
}

const keyOf = ({ address, port }: Port) => `${address} ${port}`
