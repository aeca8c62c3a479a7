// Expunges what was destroyed long enough ago (expunge.delay): machines by ordinary jobs, and volumes that belong to none,
// such as the root disk that a restored machine has left behind. Also finishes an expunge that failed half way: there is no
// way back from it.
import type { VmId } from '@ramet/core/ids.ts'
import { sql } from 'kysely'
import { expungeVolume } from '../jobs/destroy-volume.ts'
import { expungeVm } from '../jobs/expunge-vm.ts'
import type { Runner } from '../jobs/runner.ts'
import type { Log } from '../log.ts'
import type { Settings } from '../settings.ts'
import { type Database, inTransaction, type Tx } from '../store/database.ts'
import { jobOn } from '../store/jobs.ts'
import { vmLock } from '../store/vms.ts'
import { volumeLock } from '../store/volumes.ts'

export interface ExpungeWatch {
  sweep(): Promise<void>
  close(): void
}

export function watchExpunge(
  { db, settings, log }: { db: Database; settings: Settings; log: Log },
  jobs: Runner,
  tickMs = 1000,
): ExpungeWatch {
  let last = 0

  async function sweep(): Promise<void> {
    last = Date.now()
    const delay = settings.number('expunge.delay')
    for (const { id } of await dueVms(db, delay))
      await inTransaction(db, tx => expunge(tx, jobs, id, delay)).catch(error =>
        log.warn({ err: error, vm: id }, 'cannot expunge a machine whose time has come'),
      )
    await inTransaction(db, tx => expungeLooseVolumes(tx, jobs, delay))
  }

  // The settings are asked at each tick: who shortens the interval does not wait for the end of the long one.
  const timer = setInterval(() => {
    if (Date.now() - last < 1000 * settings.number('expunge.interval')) return
    sweep().catch(error => log.error({ err: error }, 'cannot look for machines to expunge'))
  }, tickMs)
  timer.unref()
  return { sweep, close: () => clearInterval(timer) }
}

const isDue = (delay: number) => sql<boolean>`destroyed < now() - ${delay} * interval '1 second'`

function dueVms(db: Database, delay: number) {
  return db
    .selectFrom('vm')
    .select('id')
    .where('removed', 'is', null)
    .where('state', 'in', ['Destroyed', 'Expunging'])
    .where(isDue(delay))
    .orderBy('destroyed')
    .execute()
}

/** Looks once more, with the row locked: another server may have been here, and the owner may have recovered it. */
async function expunge(tx: Tx, jobs: Runner, id: VmId, delay: number): Promise<void> {
  const vm = await tx
    .selectFrom('vm')
    .selectAll()
    .where('id', '=', id)
    .where('removed', 'is', null)
    .where('state', 'in', ['Destroyed', 'Expunging'])
    .where(isDue(delay))
    .forUpdate()
    .skipLocked()
    .executeTakeFirst()
  if (!vm || (await jobOn(tx, vmLock(id)))) return
  const origin = { command: 'expungeVirtualMachine', account: vm.account_id, user: null }
  await jobs.start(tx, expungeVm, { vm: id, evenRunning: false, onlyDestroyed: true }, origin)
}

async function expungeLooseVolumes(tx: Tx, jobs: Runner, delay: number): Promise<void> {
  const volumes = await tx
    .selectFrom('volume')
    .selectAll()
    .where('vm_id', 'is', null)
    .where('state', '=', 'Destroy')
    .where('removed', 'is', null)
    .where(isDue(delay))
    .forUpdate()
    .skipLocked()
    .execute()
  for (const volume of volumes) {
    if (await jobOn(tx, volumeLock({ volume: volume.id, vm: null }))) continue
    const origin = { command: 'expungeVolume', account: volume.account_id, user: null }
    await expungeVolume(tx, volume, jobs, origin)
  }
}
