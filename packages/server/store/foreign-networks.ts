// Networks that a cluster's hypervisor has of its own, such as port groups: rows like other shared networks, for all accounts, brought to
// what its inventory tells. One that it tells of no more goes as soon as no NIC is in it; until then it takes no new ones.
import { type ClusterId, newId } from '@ramet/core/ids.ts'
import { sql } from 'kysely'
import type { Db, Tx } from './database.ts'
import type { Network } from './networks.ts'
import type { Row } from './tables.ts'

/** The one that machines of the cluster get when nothing else is asked for. */
export function clusterNetwork(db: Db, cluster: ClusterId): Promise<Network | undefined> {
  return db
    .selectFrom('network')
    .innerJoin('cluster_connection as reached', join =>
      join
        .onRef('reached.cluster_id', '=', 'network.cluster_id')
        .onRef('reached.guest_network', '=', 'network.foreign_name'),
    )
    .selectAll('network')
    .where('network.cluster_id', '=', cluster)
    .where('network.state', '=', 'Allocated')
    .executeTakeFirst()
}

export async function applyNetworks(tx: Tx, cluster: ClusterId, told: readonly string[]): Promise<void> {
  const known = await tx.selectFrom('network').selectAll().where('cluster_id', '=', cluster).execute()
  const missing = [...new Set(told)].filter(name => !known.some(({ foreign_name }) => foreign_name === name))
  if (missing.length > 0) await insertNetworks(tx, cluster, missing)
  for (const { id, foreign_name, state } of known) {
    const wanted = told.includes(String(foreign_name)) ? 'Allocated' : 'Destroy'
    if (wanted !== state) await tx.updateTable('network').set({ state: wanted }).where('id', '=', id).execute()
  }
  await moveNics(tx, cluster)
  const gone = known.filter(({ foreign_name }) => !told.includes(String(foreign_name)))
  if (gone.length > 0) await deleteUnused(tx, gone)
}

/** With the cluster, of which no machine is left. */
export async function forgetNetworks(tx: Tx, cluster: ClusterId): Promise<void> {
  await deleteUnused(tx, await tx.selectFrom('network').selectAll().where('cluster_id', '=', cluster).execute())
}

async function insertNetworks(tx: Tx, cluster: ClusterId, names: readonly string[]): Promise<void> {
  const { name, zone_id } = await tx
    .selectFrom('cluster')
    .innerJoin('pod', 'pod.id', 'cluster.pod_id')
    .select(['cluster.name', 'pod.zone_id'])
    .where('cluster.id', '=', cluster)
    .executeTakeFirstOrThrow()
  const [offering, admin, root] = await Promise.all([
    offeringOfInventories(tx),
    tx.selectFrom('account').select('id').where('type', '=', 'Admin').orderBy('number').executeTakeFirstOrThrow(),
    tx.selectFrom('domain').select('id').where('level', '=', 0).executeTakeFirstOrThrow(),
  ])
  const all = { account_id: admin.id, zone_id, network_offering_id: offering, domain_id: root.id, cluster_id: cluster }
  await tx
    .insertInto('network')
    .values(
      names.map(each => ({
        ...all,
        id: newId<'network'>(),
        name: each,
        display_text: `${each} of cluster ${name}`,
        foreign_name: each,
      })),
    )
    .execute()
}

const offeringName = 'InventoryNetworkOffering'

/** Made with the first network that needs it. */
async function offeringOfInventories(tx: Tx): Promise<Row<'network_offering'>['id']> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`ramet.offering ${offeringName}`}, 0))`.execute(tx)
  const found = await tx
    .selectFrom('network_offering')
    .select('id')
    .where('of_inventory', '=', true)
    .where('removed', 'is', null)
    .executeTakeFirst()
  if (found) return found.id
  const made = {
    id: newId<'network-offering'>(),
    name: offeringName,
    display_text:
      "A network that a cluster's hypervisor has of its own, such as a port group; somebody else gives addresses",
    guest_ip_type: 'Shared' as const,
    is_default: true,
    of_inventory: true,
    forwards_ssh: false,
  }
  await tx.insertInto('network_offering').values(made).execute()
  return made.id
}

/** NICs from before the cluster's networks were known were plugged into the one that it was added with. */
async function moveNics(tx: Tx, cluster: ClusterId): Promise<void> {
  const to = await clusterNetwork(tx, cluster)
  if (!to) return
  await sql`update nic set network_id = ${to.id}, ip_address = null from vm, network
    where vm.id = nic.vm_id and vm.cluster_id = ${cluster} and network.id = nic.network_id and network.cluster_id is null`.execute(
    tx,
  )
}

async function deleteUnused(tx: Tx, networks: readonly Network[]): Promise<void> {
  const ids = networks.map(({ id }) => id)
  if (ids.length === 0) return
  const { rows } = await sql<{ id: Network['id'] }>`delete from network where id = any(${ids})
    and not exists (select from nic where nic.network_id = network.id) returning id`.execute(tx)
  for (const { id } of rows) await tx.deleteFrom('resource_tag').where('resource_id', '=', id).execute()
}
