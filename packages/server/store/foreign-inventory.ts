// Hosts, storage pools and networks of a cluster whose hypervisor has an inventory of its own: brought to what that tells, by name and
// path. A host or pool that is not told of any more stays, Down, for machines and disks may refer to it.
import { newId, type ClusterId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { ForeignHost, ForeignInventory, ForeignPool } from '../drivers/forest.ts'
import type { Tx } from './database.ts'
import { applyNetworks } from './foreign-networks.ts'
import { columnsOf, type Host, insertHost } from './hosts.ts'
import type { Pool } from './pools.ts'

type Names = Pick<ForeignInventory, 'hosts' | 'pools' | 'networks'>

/** Answers the hosts that came up or went down. */
export async function applyInventory(tx: Tx, cluster: ClusterId, { hosts, pools, networks }: Names): Promise<Host[]> {
  const moved = await applyHosts(tx, cluster, hosts)
  await applyPools(tx, cluster, pools)
  await applyNetworks(tx, cluster, networks)
  return moved
}

async function applyHosts(tx: Tx, cluster: ClusterId, told: readonly ForeignHost[]): Promise<Host[]> {
  await demandNotElsewhere(tx, cluster, told)
  const known = await tx.selectFrom('host').selectAll().where('cluster_id', '=', cluster).execute()
  const moved: Host[] = []
  for (const host of told) {
    const row = known.find(({ name }) => name === host.name)
    if (row) moved.push(...(await updateHost(tx, row, host)))
    else {
      await insertHost(tx, { id: newId(), name: host.name, address: host.name, cluster }, host.facts)
      if (host.state !== 'Up')
        await tx.updateTable('host').set({ state: 'Down' }).where('name', '=', host.name).execute()
    }
  }
  for (const row of known)
    if (!told.some(({ name }) => name === row.name)) moved.push(...(await setState(tx, row, 'Down')))
  return moved
}

async function updateHost(tx: Tx, row: Host, { state, facts }: ForeignHost): Promise<Host[]> {
  const columns = columnsOf(facts)
  if (Object.entries(columns).some(([name, value]) => row[name as keyof Host] !== value))
    await tx.updateTable('host').set(columns).where('id', '=', row.id).execute()
  return setState(tx, row, state === 'Up' ? 'Up' : 'Down')
}

async function setState(tx: Tx, row: Host, state: Host['state']): Promise<Host[]> {
  if (row.state === state) return []
  await tx.updateTable('host').set({ state, last_pinged: new Date() }).where('id', '=', row.id).execute()
  return [{ ...row, state }]
}

/** A host has one row: its machines would be looked after twice. */
async function demandNotElsewhere(tx: Tx, cluster: ClusterId, told: readonly ForeignHost[]): Promise<void> {
  const names = told.map(({ name }) => name)
  const other = await tx
    .selectFrom('host')
    .innerJoin('cluster', 'cluster.id', 'host.cluster_id')
    .select(['host.name', 'cluster.name as cluster'])
    .where('host.name', 'in', names.length > 0 ? names : [''])
    .where('cluster_id', '!=', cluster)
    .executeTakeFirst()
  if (other)
    throw new Problem(
      'in-use',
      'host-elsewhere',
      `Host ${other.name} belongs to cluster ${other.cluster} already; a host is in one cluster only`,
    )
}

async function applyPools(tx: Tx, cluster: ClusterId, told: readonly ForeignPool[]): Promise<void> {
  const known = await tx.selectFrom('storage_pool').selectAll().where('cluster_id', '=', cluster).execute()
  for (const pool of told) {
    const row = known.find(({ path }) => path === pool.path)
    if (row) await updatePool(tx, row, pool)
    else await insertPool(tx, cluster, pool)
  }
  for (const row of known)
    if (!told.some(({ path }) => path === row.path) && row.problem !== gone)
      await tx.updateTable('storage_pool').set({ problem: gone }).where('id', '=', row.id).execute()
}

const gone = 'No host of the cluster reaches it any more'

async function updatePool(tx: Tx, row: Pool, { problem, totalBytes, freeBytes }: ForeignPool): Promise<void> {
  const set = { problem, total_bytes: totalBytes, free_bytes: freeBytes }
  if (Object.entries(set).every(([name, value]) => row[name as keyof Pool] === value)) return
  await tx.updateTable('storage_pool').set(set).where('id', '=', row.id).execute()
}

async function insertPool(tx: Tx, cluster: ClusterId, pool: ForeignPool): Promise<void> {
  const id = newId<'storage-pool'>()
  const taken = await tx.selectFrom('storage_pool').select('id').where('name', '=', pool.name).executeTakeFirst()
  await tx
    .insertInto('storage_pool')
    .values({
      id,
      cluster_id: cluster,
      name: taken ? `${pool.name} (${id.slice(0, 8)})` : pool.name,
      type: pool.type,
      path: pool.path,
      problem: pool.problem,
      total_bytes: pool.totalBytes,
      free_bytes: pool.freeBytes,
    })
    .execute()
}
