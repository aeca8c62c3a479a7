// VM snapshots on disk. A state changes only by a move of core/vm-snapshot.ts, on the row as this transaction sees it; the
// database itself allows one operation on a machine's snapshots at a time.
import type { LayerId, VmId, VmSnapshotId, VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import {
  refusal,
  transientStates,
  vmSnapshotAfter,
  type VmSnapshotAction,
  type VmSnapshotEvent,
  withoutNode,
} from '@ramet/core/vm-snapshot.ts'
import { sql, type Updateable } from 'kysely'
import type { Db, Tx } from './database.ts'
import type { Row, Tables } from './tables.ts'

export type VmSnapshot = Row<'vm_snapshot'>
export type SnapshotDisk = Row<'vm_snapshot_disk'>

export async function vmSnapshotById(db: Db, id: VmSnapshotId): Promise<VmSnapshot | undefined> {
  return db.selectFrom('vm_snapshot').selectAll().where('id', '=', id).executeTakeFirst()
}

/** Those of a machine that are not removed, oldest first. */
export async function vmSnapshotsOf(db: Db, vm: VmId): Promise<VmSnapshot[]> {
  return db
    .selectFrom('vm_snapshot')
    .selectAll()
    .where('vm_id', '=', vm)
    .where('removed', 'is', null)
    .orderBy('created')
    .execute()
}

/** The snapshot's row, locked until the transaction ends. */
export async function holdVmSnapshot(tx: Tx, id: VmSnapshotId): Promise<VmSnapshot> {
  const snapshot = await tx.selectFrom('vm_snapshot').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
  if (!snapshot) throw new Problem('invalid', 'unknown-vm-snapshot', `There is no VM snapshot ${id}`)
  return snapshot
}

/** The same, if something can be made from it. */
export async function usableVmSnapshot(tx: Tx, id: VmSnapshotId): Promise<VmSnapshot> {
  const snapshot = await holdVmSnapshot(tx, id)
  demandSnapshotAction(snapshot, 'use')
  return snapshot
}

/** Throws the sentence of core/vm-snapshot.ts when `action` must wait. */
export function demandSnapshotAction(snapshot: VmSnapshot, action: VmSnapshotAction): void {
  const reason = refusal(snapshot, action)
  if (reason) throw new Problem('refused', 'wrong-vm-snapshot-state', reason)
}

/** Makes the move `event`, or throws when the snapshot's state has no such move. */
export async function moveVmSnapshot(
  tx: Tx,
  id: VmSnapshotId,
  event: VmSnapshotEvent,
  set: Updateable<Tables['vm_snapshot']> = {},
): Promise<VmSnapshot> {
  const snapshot = await holdVmSnapshot(tx, id)
  const state = vmSnapshotAfter(snapshot.state, event)
  if (!state)
    throw new Problem(
      'refused',
      'wrong-vm-snapshot-state',
      `VM snapshot ${snapshot.display_name} is ${snapshot.state}; ${event} is not possible then`,
    )
  return setVmSnapshot(tx, id, { ...set, state })
}

export async function setVmSnapshot(
  db: Db,
  id: VmSnapshotId,
  set: Updateable<Tables['vm_snapshot']>,
): Promise<VmSnapshot> {
  return db
    .updateTable('vm_snapshot')
    .set({ ...set, updated: new Date(), update_count: sql`update_count + 1` })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** From here on the machine's disks stand on this snapshot; null: on none. */
export async function makeCurrent(tx: Tx, vm: VmId, id: VmSnapshotId | null): Promise<void> {
  await tx
    .updateTable('vm_snapshot')
    .set({ is_current: false })
    .where('vm_id', '=', vm)
    .where('is_current', '=', true)
    .execute()
  if (id) await setVmSnapshot(tx, id, { is_current: true })
}

export async function currentOf(db: Db, vm: VmId): Promise<VmSnapshotId | null> {
  return (await vmSnapshotsOf(db, vm)).find(({ is_current }) => is_current)?.id ?? null
}

export async function disksOf(db: Db, snapshot: VmSnapshotId): Promise<SnapshotDisk[]> {
  return db
    .selectFrom('vm_snapshot_disk')
    .selectAll()
    .where('snapshot_id', '=', snapshot)
    .orderBy('device_id')
    .execute()
}

/** A disk as a VM snapshot has it, as a job is asked about it. */
export interface DiskThen {
  readonly vmSnapshot: VmSnapshotId
  /** Whose snapshot it is. */
  readonly vm: VmId
  /** Whose disk. */
  readonly volume: VolumeId
}

export async function diskThen(db: Db, { vmSnapshot: id, volume }: DiskThen): Promise<SnapshotDisk> {
  const disk = (await disksOf(db, id)).find(each => each.volume_id === volume)
  if (disk) return disk
  const name = (await vmSnapshotById(db, id))?.display_name ?? id
  throw new Problem('refused', 'volume-not-in-vm-snapshot', `VM snapshot ${name} has no disk of volume ${volume}`)
}

export interface NamedDisk {
  readonly volume: VolumeId
  readonly layer: LayerId
  readonly deviceId: number
  readonly bytes: number
}

/** The snapshot names these layers: none of them can go. */
export async function nameDisks(tx: Tx, snapshot: VmSnapshotId, disks: readonly NamedDisk[]): Promise<void> {
  await tx
    .insertInto('vm_snapshot_disk')
    .values(
      disks.map(({ volume, layer, deviceId, bytes }) => ({
        snapshot_id: snapshot,
        volume_id: volume,
        layer_id: layer,
        device_id: deviceId,
        size_bytes: bytes,
      })),
    )
    .execute()
}

/**
 * Takes the snapshot out of its tree: its children hang on its parent, which is current if it was, and its layers have lost
 * this name. Answers those layers; its memory stays for the caller.
 */
export async function takeOutOfTree(tx: Tx, { id, vm_id }: VmSnapshot): Promise<LayerId[]> {
  const before = await vmSnapshotsOf(tx, vm_id)
  const tree = before.map(each => ({ id: each.id, parent: each.parent_id, isCurrent: each.is_current }))
  const layers = (await disksOf(tx, id)).map(({ layer_id }) => layer_id)
  await tx.deleteFrom('vm_snapshot_disk').where('snapshot_id', '=', id).execute()
  await makeCurrent(tx, vm_id, null)
  for (const { id: child, parent, isCurrent } of withoutNode(tree, id))
    await tx
      .updateTable('vm_snapshot')
      .set({ parent_id: parent, is_current: isCurrent })
      .where('id', '=', child)
      .execute()
  return layers
}

/** What is at work on a snapshot of the machine. */
export async function snapshotAtWork(db: Db, vm: VmId, except?: VmSnapshotId): Promise<VmSnapshot | undefined> {
  return db
    .selectFrom('vm_snapshot')
    .selectAll()
    .where('vm_id', '=', vm)
    .where('removed', 'is', null)
    .where('state', 'in', [...transientStates])
    .$if(except !== undefined, query => query.where('id', '!=', except as VmSnapshotId))
    .executeTakeFirst()
}

/** Throws while something is at work on a snapshot of the machine. */
export async function demandNoneAtWork(db: Db, vm: VmId, except?: VmSnapshotId): Promise<void> {
  const other = await snapshotAtWork(db, vm, except)
  if (other)
    throw new Problem(
      'busy',
      'vm-snapshot-at-work',
      `VM snapshot ${other.display_name} of the machine is ${other.state}; wait for its end, and ask again`,
    )
}

/** Throws while the machine has VM snapshots: `what`, such as "attaching a volume", would make them untrue. */
export async function demandNoVmSnapshots(db: Db, vm: VmId, what: string): Promise<void> {
  const reason = await vmSnapshotsInTheWay(db, vm, what)
  if (reason) throw new Problem('refused', 'has-vm-snapshots', reason)
}

/** The same as a sentence, or null. */
export async function vmSnapshotsInTheWay(db: Db, vm: VmId, what: string): Promise<string | null> {
  const { length } = await vmSnapshotsOf(db, vm)
  if (length === 0) return null
  const count = length === 1 ? 'a VM snapshot' : `${length} VM snapshots`
  return `The machine has ${count}, and ${what} is not possible then; delete them first (listVMSnapshot, deleteVMSnapshot)`
}
