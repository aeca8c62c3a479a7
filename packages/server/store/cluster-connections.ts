// How clusters are reached whose hypervisor keeps its own disks. The password is sealed (secrets.ts), and leaves this file only with
// the rest of what a driver needs.
import type { Hypervisor } from '@ramet/core/clone-type.ts'
import type { ClusterId, VmId } from '@ramet/core/ids.ts'
import type { Connection } from '../drivers/drivers.ts'
import type { ForeignInventory } from '../drivers/forest.ts'
import type { Secrets } from '../secrets.ts'
import type { Db, Tx } from './database.ts'
import { forgetNetworks } from './foreign-networks.ts'
import type { Row } from './tables.ts'

export interface ReachedCluster {
  readonly cluster: ClusterId
  readonly name: string
  readonly hypervisor: Hypervisor
  readonly connection: Connection
  readonly problem: string | null
  /** When somebody last said how it is reached. */
  readonly updated: Date
}

export async function reachedClusters(db: Db, secrets: Secrets): Promise<ReachedCluster[]> {
  const rows = await db
    .selectFrom('cluster_connection as c')
    .innerJoin('cluster', 'cluster.id', 'c.cluster_id')
    .selectAll('c')
    .select(['cluster.name', 'cluster.hypervisor'])
    .where('cluster.removed', 'is', null)
    .orderBy('cluster.created')
    .execute()
  return rows.map(({ cluster_id, name, hypervisor, problem, updated, url, username, thumbprint, password_sealed }) => ({
    cluster: cluster_id,
    name,
    hypervisor,
    problem,
    updated,
    connection: { url, username, thumbprint, password: secrets.unseal(password_sealed) },
  }))
}

export async function setConnection(
  db: Db,
  secrets: Secrets,
  cluster: ClusterId,
  { url, username, thumbprint, password }: Connection,
  guestNetwork: string | null,
): Promise<void> {
  const said = { url, username, thumbprint, password_sealed: secrets.seal(password), guest_network: guestNetwork }
  await db
    .insertInto('cluster_connection')
    .values({ cluster_id: cluster, ...said })
    .onConflict(conflict => conflict.column('cluster_id').doUpdateSet({ ...said, updated: new Date(), problem: null }))
    .execute()
}

export async function connectionOf(db: Db, cluster: ClusterId): Promise<Row<'cluster_connection'> | undefined> {
  return db.selectFrom('cluster_connection').selectAll().where('cluster_id', '=', cluster).executeTakeFirst()
}

/**
 * Names of the cluster's machines and templates that are not there. A machine whose making failed need not be; a template is known by its
 * path alone, which another vCenter may have too, so that only machines prove that it is the same.
 */
export async function notIn(
  tx: Tx,
  cluster: ClusterId,
  { machines, inventory }: { machines: readonly VmId[]; inventory: ForeignInventory },
): Promise<string[]> {
  const vms = await tx
    .selectFrom('vm')
    .select(['id', 'name'])
    .where('cluster_id', '=', cluster)
    .where('removed', 'is', null)
    .where('state', '!=', 'Error')
    .orderBy('name')
    .execute()
  const templates = await tx
    .selectFrom('template')
    .select(['url', 'name'])
    .where('cluster_id', '=', cluster)
    .where('removed', 'is', null)
    .orderBy('name')
    .execute()
  const foreign = new Set(inventory.machines.flatMap(each => [each.foreign, each.path]))
  return [
    ...vms.filter(({ id }) => !machines.includes(id)),
    ...templates.filter(({ url }) => vms.length === 0 || !foreign.has(url.replace(/^inventory:/, ''))),
  ].map(({ name }) => name)
}

export async function noteProblem(db: Db, cluster: ClusterId, problem: string | null): Promise<void> {
  await db.updateTable('cluster_connection').set({ problem }).where('cluster_id', '=', cluster).execute()
}

/** The cluster's hosts and storage pools go, and how it was reached; what referred to them was removed before, and says so no longer. */
export async function forgetReached(tx: Tx, cluster: ClusterId): Promise<void> {
  const pools = tx.selectFrom('storage_pool').select('id').where('cluster_id', '=', cluster)
  const hosts = tx.selectFrom('host').select('id').where('cluster_id', '=', cluster)
  await tx.updateTable('volume').set({ pool_id: null }).where('pool_id', 'in', pools).execute()
  await tx.updateTable('vm').set({ host_id: null }).where('host_id', 'in', hosts).execute()
  await tx.deleteFrom('storage_pool').where('cluster_id', '=', cluster).execute()
  await tx.deleteFrom('host').where('cluster_id', '=', cluster).execute()
  await forgetNetworks(tx, cluster)
  await tx.deleteFrom('cluster_connection').where('cluster_id', '=', cluster).execute()
}
