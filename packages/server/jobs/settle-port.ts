// Makes a port of the host lead where its rule says, or nowhere. Jobs and the watch (watch/forwards.ts) all come through here, one at a
// time for each port, so that none undoes what another has just done.
import { type Database, inTransaction } from '../store/database.ts'
import { forwardOf, holdPort, type Port } from '../store/port-forwarding.ts'
import { networkSpec } from '../store/networks.ts'
import type { Driver } from '../drivers/driver.ts'

interface Settling {
  readonly db: Database
  readonly driver: Pick<Driver, 'networks'>
}

/** A rule that was to go is gone when this fulfils, and its port free. */
export function settlePort({ db, driver: { networks } }: Settling, port: Port): Promise<void> {
  return inTransaction(db, async tx => {
    const rule = await holdPort(tx, port)
    if (rule && rule.state !== 'Revoke') {
      await networks.ensure(await networkSpec(tx, rule.network))
      return networks.forward(forwardOf(rule))
    }
    await networks.unforward(port.address, port.port)
    if (rule) await tx.deleteFrom('port_forwarding_rule').where('id', '=', rule.id).execute()
  })
}

export async function settlePorts(tools: Settling, ports: readonly Port[]): Promise<void> {
  for (const port of ports) await settlePort(tools, port)
}
