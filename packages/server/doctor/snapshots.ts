// What doctor looks for in VM snapshots and volume snapshots: memory images and files that are missing or that nobody knows, and
// snapshots in the middle of something that nobody works on.
import { transientStates } from '@ramet/core/vm-snapshot.ts'
import type { Database } from '../store/database.ts'
import { ownPools } from '../store/pools.ts'
import type { Finding, Host } from './examine.ts'

type Busy = (id: string) => boolean

export async function findInMemoryImages(db: Database, host: Host, busy: Busy): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const pool of await ownPools(db)) {
    const onDisk = await host.memory.list(pool).catch(() => null)
    if (!onDisk) continue // the pool is not there, which is told elsewhere
    const recorded = await db
      .selectFrom('memory_image')
      .select(['id', 'state'])
      .where('pool_id', '=', pool.id)
      .execute()
    for (const { id, state } of recorded.filter(each => !busy(each.id)))
      if (state !== 'ready' || !onDisk.includes(id))
        findings.push({
          subject: `memory image ${id}`,
          what: state === 'ready' ? `has no files on ${pool.name}` : `is ${state}, but no job works on it`,
          remedy: 'delete the VM snapshot that it belongs to, or unfreeze the machine; their disks are whole',
        })
    for (const id of onDisk)
      if (!recorded.some(each => each.id === id) && !busy(id))
        findings.push({
          subject: `memory image ${id}`,
          what: `is on ${pool.name}, but the database does not know it`,
          remedy: 'move it away once you know that nobody misses it',
        })
  }
  return findings
}

export async function findTransientSnapshots(db: Database, busy: Busy): Promise<Finding[]> {
  const [ofVms, ofVolumes] = await Promise.all([
    db
      .selectFrom('vm_snapshot')
      .select(['id', 'display_name as name', 'state'])
      .where('removed', 'is', null)
      .where('state', 'in', [...transientStates])
      .execute(),
    db
      .selectFrom('snapshot')
      .select(['id', 'name', 'state'])
      .where('removed', 'is', null)
      .where('state', 'not in', ['BackedUp', 'Error'])
      .execute(),
  ])
  const told = [
    ...ofVms.map(each => ({ ...each, kind: 'VM snapshot', delete: `deleteVMSnapshot vmsnapshotid=${each.id}` })),
    ...ofVolumes.map(each => ({ ...each, kind: 'snapshot', delete: `deleteSnapshot id=${each.id}` })),
  ]
  return told
    .filter(({ id }) => !busy(id))
    .map(each => ({
      subject: `${each.kind} ${each.name} (${each.id})`,
      what: `is ${each.state}, but no job works on it`,
      remedy: `start the server, which settles it, or: ramet ${each.delete}`,
    }))
}

/** The files of volume snapshots that must be there. */
export async function filesOfSnapshots(db: Database): Promise<{ name: string; file: string }[]> {
  const rows = await db
    .selectFrom('snapshot')
    .innerJoin('image_store', 'image_store.id', 'snapshot.image_store_id')
    .select(['snapshot.name', 'path', 'install_path'])
    .where('snapshot.removed', 'is', null)
    .where('snapshot.state', '=', 'BackedUp')
    .execute()
  return rows.map(({ name, path, install_path }) => ({ name: `snapshot ${name}`, file: `${path}/${install_path}` }))
}
