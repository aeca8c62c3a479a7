// Volume snapshots on disk: records of files on secondary storage. A state changes only by a move of core/snapshot.ts.
import type { SnapshotId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { snapshotMoves, type SnapshotEvent, type SnapshotState, useRefusal } from '@ramet/core/snapshot.ts'
import { sql, type Updateable } from 'kysely'
import type { StoreFolder } from '../images/store.ts'
import type { Db, Tx } from './database.ts'
import type { Row, Tables } from './tables.ts'
import { tagsIn } from './tags.ts'

export type Snapshot = Row<'snapshot'>

export async function snapshotById(db: Db, id: SnapshotId): Promise<Snapshot | undefined> {
  return db.selectFrom('snapshot').selectAll().where('id', '=', id).executeTakeFirst()
}

/** The snapshot's row, locked until the transaction ends. */
export async function holdSnapshot(tx: Tx, id: SnapshotId): Promise<Snapshot> {
  const snapshot = await tx.selectFrom('snapshot').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
  if (!snapshot || snapshot.removed)
    throw new Problem('invalid', 'unknown-snapshot', `There is no snapshot ${snapshot?.name ?? id} any more`)
  return snapshot
}

/** The same, if something can be made from it. */
export async function usableSnapshot(tx: Tx, id: SnapshotId): Promise<Snapshot> {
  const snapshot = await holdSnapshot(tx, id)
  const reason = useRefusal(snapshot)
  if (reason) throw new Problem('refused', 'wrong-snapshot-state', reason)
  return snapshot
}

/** Makes the move `event`, or throws when the snapshot's state has no such move. */
export async function moveSnapshot(
  tx: Tx,
  id: SnapshotId,
  event: SnapshotEvent,
  set: Updateable<Tables['snapshot']> = {},
): Promise<Snapshot> {
  const snapshot = await holdSnapshot(tx, id)
  const moves: Partial<Record<SnapshotState, SnapshotState>> = snapshotMoves[event]
  const state = moves[snapshot.state]
  if (!state)
    throw new Problem(
      'refused',
      'wrong-snapshot-state',
      `Snapshot ${snapshot.name} is ${snapshot.state}; ${event} is not possible then`,
    )
  await tx
    .updateTable('snapshot')
    .set({ ...set, state })
    .where('id', '=', id)
    .execute()
  return { ...snapshot, state }
}

/** Where the snapshot's file is, and the secondary storage that has it. */
export async function snapshotFile(db: Db, id: SnapshotId): Promise<{ file: string; store: StoreFolder }> {
  const row = await db
    .selectFrom('snapshot')
    .innerJoin('image_store', 'image_store.id', 'snapshot.image_store_id')
    .select(['image_store.id', 'path', 'install_path'])
    .where('snapshot.id', '=', id)
    .executeTakeFirstOrThrow()
  return { file: `${row.path}/${row.install_path}`, store: { id: row.id, path: row.path } }
}

export function selectSnapshots(db: Db) {
  return db
    .selectFrom('snapshot')
    .innerJoin('volume', 'volume.id', 'snapshot.volume_id')
    .innerJoin('account', 'account.id', 'snapshot.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .innerJoin('zone', 'zone.id', 'snapshot.zone_id')
    .innerJoin('image_store', 'image_store.id', 'snapshot.image_store_id')
    .selectAll('snapshot')
    .select([
      'volume.name as volume_name',
      'volume.type as volume_type',
      'volume.state as volume_state',
      'zone.name as zone_name',
      'image_store.name as store_name',
      'account.name as account_name',
      'domain.id as domain_id',
      'domain.name as domain_name',
      'domain.path as domain_path',
    ])
    .select(tagsIn(db, 'snapshot.id').as('tags'))
    .select(
      sql<string | null>`(select j.id from job j where j.instance_id = snapshot.id and j.completed is null
        order by j.sequence limit 1)`.as('job_id'),
    )
}

export type ListedSnapshot = Awaited<ReturnType<ReturnType<typeof selectSnapshots>['execute']>>[number]
