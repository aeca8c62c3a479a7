// Settles VM snapshots that are in the middle of something although no job works on them: their jobs resume after a restart by
// themselves and ask the hypervisor what happened, but one that was given up, or forgotten after its time, must not block its machine
// for ever. One that was being made is in Error, one that was being reverted to is Ready, and one that was to go, goes.
import { transientStates } from '@ramet/core/vm-snapshot.ts'
import { deleteVmSnapshot } from '../jobs/delete-vm-snapshot.ts'
import { sql } from 'kysely'
import type { Runner } from '../jobs/runner.ts'
import type { Log } from '../log.ts'
import { type Database, inTransaction, type Tx } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import { jobOn } from '../store/jobs.ts'
import { holdVmSnapshot, moveVmSnapshot, type VmSnapshot } from '../store/vm-snapshots.ts'
import { vmLock } from '../store/vms.ts'

const graceSeconds = 10

export interface VmSnapshotWatch {
  settle(): Promise<void>
  close(): void
}

export function watchVmSnapshots(db: Database, jobs: Runner, log: Log, everyMs = 60_000): VmSnapshotWatch {
  async function settle(): Promise<void> {
    const found = await db
      .selectFrom('vm_snapshot')
      .select('id')
      .where('removed', 'is', null)
      .where('state', 'in', [...transientStates])
      .where(sql<boolean>`updated < now() - ${graceSeconds} * interval '1 second'`)
      .execute()
    for (const { id } of found)
      await inTransaction(db, async tx => settleOne(tx, jobs, await holdVmSnapshot(tx, id))).catch(error =>
        log.warn({ err: error, snapshot: id }, 'cannot settle a VM snapshot'),
      )
  }

  const timer = setInterval(() => {
    settle().catch(error => log.error({ err: error }, 'cannot look for VM snapshots that nobody works on'))
  }, everyMs)
  timer.unref()
  return { settle, close: () => clearInterval(timer) }
}

async function settleOne(tx: Tx, jobs: Runner, snapshot: VmSnapshot): Promise<void> {
  const isTransient = (transientStates as readonly string[]).includes(snapshot.state)
  if (!isTransient || snapshot.removed || (await jobOn(tx, vmLock(snapshot.vm_id)))) return
  if (snapshot.state === 'Expunging') {
    const origin = { command: 'deleteVMSnapshot', account: snapshot.account_id, user: null }
    await jobs.start(tx, deleteVmSnapshot, { vm: snapshot.vm_id, snapshot: snapshot.id }, origin)
    return
  }
  const error = 'Whoever worked on it gave up; nothing works on it any more'
  const { state } = await moveVmSnapshot(tx, snapshot.id, 'OperationFailed', { error })
  await recordEvent(tx, {
    type: snapshot.state === 'Reverting' ? 'VMSNAPSHOT.REVERTTO' : 'VMSNAPSHOT.CREATE',
    level: 'WARN',
    description: `VM snapshot ${snapshot.display_name} was ${snapshot.state} without anybody at work on it; it is ${state}`,
    account: snapshot.account_id,
    resourceType: 'VmSnapshot',
    resource: snapshot.id,
  })
}
