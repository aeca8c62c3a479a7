// Consolidates machines' disks: every machine's at the times of consolidation.schedule, and at once those whose chains have become
// long, counted in layers that nobody names. By ordinary jobs, which wait for their turn, and run under nobody's feet: what others
// read stays. One that failed is tried again after an hour.
import type { VmId } from '@ramet/core/ids.ts'
import { isDueBetween } from '@ramet/core/cron.ts'
import { consolidateVm, planOfConsolidation } from '../jobs/consolidate-vm.ts'
import type { Runner } from '../jobs/runner.ts'
import type { Log } from '../log.ts'
import type { Settings } from '../settings.ts'
import { consolidateAt, unnamedByVm } from '../store/chains.ts'
import { type Database, inTransaction, type Tx } from '../store/database.ts'
import { jobOn } from '../store/jobs.ts'
import { holdVm, vmLock } from '../store/vms.ts'
import { sql } from 'kysely'

export interface ConsolidationWatch {
  /** `all`: as at the times of the schedule; else only long chains. */
  sweep(all: boolean): Promise<void>
  close(): void
}

export function watchConsolidation(
  { db, settings, log }: { db: Database; settings: Settings; log: Log },
  jobs: Runner,
  everyMs = 60_000,
): ConsolidationWatch {
  let last = new Date()

  async function sweep(all: boolean): Promise<void> {
    for (const { vm, unnamed } of await unnamedByVm(db))
      await inTransaction(db, tx => consolidate(tx, jobs, vm, unnamed, all)).catch(error =>
        log.warn({ err: error, vm }, 'cannot consolidate the disks of a machine'),
      )
  }

  function isDue(): boolean {
    const [schedule, from] = [settings.text('consolidation.schedule').trim(), last]
    last = new Date()
    return schedule !== '' && isDueBetween(schedule, from, last)
  }

  const timer = setInterval(() => {
    sweep(isDue()).catch(error => log.error({ err: error }, 'cannot look for disks to consolidate'))
  }, everyMs)
  timer.unref()
  return { sweep, close: () => clearInterval(timer) }
}

async function consolidate(tx: Tx, jobs: Runner, id: VmId, unnamed: number, all: boolean): Promise<void> {
  const isLong = unnamed >= (await consolidateAt(tx, id))
  if (!all && !isLong) return
  const vm = await holdVm(tx, id) // of two servers the second finds the first one's job
  if ((await jobOn(tx, vmLock(id))) || (await hasFailed(tx, id))) return
  const { plan } = await planOfConsolidation(tx, id, isLong)
  if (plan.length === 0) return
  const origin = { command: 'consolidateVirtualMachine', account: vm.account_id, user: null }
  await jobs.start(tx, consolidateVm, { vm: id, evenShared: isLong }, origin)
}

async function hasFailed(tx: Tx, vm: VmId): Promise<boolean> {
  const failed = await tx
    .selectFrom('job')
    .select('id')
    .where('kind', '=', consolidateVm.traits.kind)
    .where('instance_id', '=', vm)
    .where('state', '=', 'failed')
    .where('completed', '>', sql<Date>`now() - interval '1 hour'`)
    .executeTakeFirst()
  return failed !== undefined
}
