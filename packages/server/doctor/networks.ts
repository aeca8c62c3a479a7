// What doctor looks for in guest networks: those that have lost something, and those that nobody knows.
import type { Database } from '../store/database.ts'
import type { Finding, Host } from './examine.ts'

export async function findInNetworks(db: Database, host: Host, busy: (id: string) => boolean): Promise<Finding[]> {
  const recorded = await db.selectFrom('network').select(['id', 'name']).execute()
  const found = (await host.networks.list()).filter(({ id }) => !busy(id))
  return found.flatMap(({ id, trouble }): Finding[] => {
    const known = recorded.find(each => each.id === id)
    const subject = `network ${known ? `${known.name} (${id})` : id}`
    if (!known)
      return [{ subject, what: 'is on this host, but the database does not know it', remedy: `see networks/${id}` }]
    return trouble === null ? [] : [{ subject, what: trouble, remedy: 'start the server, which mends it' }]
  })
}
