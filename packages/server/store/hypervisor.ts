// What the database says of hypervisors. Its clusters belong to one, but for those that are reached by a connection: machines of a simulated cloud have no disks that QEMU could start.
import type { Hypervisor } from '@ramet/core/clone-type.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Driver } from '../drivers/driver.ts'
import type { Db } from './database.ts'

export async function demandSameHypervisor(db: Db, { hypervisor }: Driver): Promise<void> {
  const other = await db
    .selectFrom('cluster')
    .leftJoin('cluster_connection', 'cluster_connection.cluster_id', 'cluster.id')
    .select('hypervisor')
    .where('hypervisor', '!=', hypervisor)
    .where('cluster_connection.cluster_id', 'is', null)
    .where('cluster.removed', 'is', null)
    .executeTakeFirst()
  if (!other) return
  const remedy = other.hypervisor === 'Simulator' ? 'serve it with --simulate' : 'serve it without --simulate'
  throw new Problem(
    'refused',
    'other-hypervisor',
    `The database is that of a cloud on ${other.hypervisor}, and this server drives ${hypervisor}: ${remedy}, or choose another --data-dir`,
  )
}

/** Whether machines of this hypervisor may have VM snapshots; where nothing is said, they may. */
export async function isVmSnapshotEnabled(db: Db, hypervisor: Hypervisor): Promise<boolean> {
  const row = await db
    .selectFrom('hypervisor_capabilities')
    .select('vm_snapshot_enabled')
    .where('hypervisor', '=', hypervisor)
    .executeTakeFirst()
  return row?.vm_snapshot_enabled ?? true
}
