// Consolidates machines' disks: every machine's at the times of consolidation.schedule, and at once those whose chains have become
// long, counted in layers that nobody names. Where others stand on these, they are copied out of a chain that is long, and out of that of a
// machine that carries many clones. By ordinary jobs, which wait for their turn, and run under nobody's feet: what others
// read stays. Where the hypervisor keeps the disks, their depth is looked at instead. One that failed is tried again after an hour.
import type { VmId } from '@ramet/core/ids.ts'
import { isDueBetween } from '@ramet/core/cron.ts'
import { consolidateVm, planOfConsolidation } from '../jobs/consolidate-vm.ts'
import type { Runner } from '../jobs/runner.ts'
import type { Log } from '../log.ts'
import type { Settings } from '../settings.ts'
import { budgetOf, deepElsewhere, unnamedByVm } from '../store/chains.ts'
import { type Database, inTransaction, type Tx } from '../store/database.ts'
import { deltasOf } from '../store/deltas.ts'
import { jobOn } from '../store/jobs.ts'
import { holdVm, vmLock } from '../store/vms.ts'
import { sql } from 'kysely'

/** A machine that stands on a template or a VM snapshot has fewer files than this, unless clones had it leave some. */
const deepAtNight = 8

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
    const threshold = settings.number('instantclone.delta.threshold')
    for (const found of await unnamedByVm(db))
      await inTransaction(db, tx => consolidate(tx, jobs, threshold, found, all)).catch(error =>
        log.warn({ err: error, vm: found.vm }, 'cannot consolidate the disks of a machine'),
      )
    for (const vm of await deepElsewhere(db, all ? deepAtNight : threshold))
      await inTransaction(db, tx => shorten(tx, jobs, vm)).catch(error =>
        log.warn({ err: error, vm }, 'cannot shorten the disks of a machine'),
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

async function consolidate(
  tx: Tx,
  jobs: Runner,
  threshold: number,
  { vm: id, unnamed }: { vm: VmId; unnamed: number },
  all: boolean,
): Promise<void> {
  const isLong = unnamed >= (await budgetOf(tx, id)).consolidate_at
  if (!all && !isLong) return
  const vm = await holdVm(tx, id) // of two servers the second finds the first one's job
  if ((await jobOn(tx, vmLock(id))) || (await hasFailed(tx, id))) return
  const evenShared = isLong || (await deltasOf(tx, id, true)) >= threshold
  const { plan } = await planOfConsolidation(tx, id, evenShared)
  if (plan.length === 0) return
  const origin = { command: 'consolidateVirtualMachine', account: vm.account_id, user: null }
  await jobs.start(tx, consolidateVm, { vm: id, evenShared }, origin)
}

/** Where the hypervisor keeps the disks: it knows itself what can go. */
async function shorten(tx: Tx, jobs: Runner, id: VmId): Promise<void> {
  const vm = await holdVm(tx, id)
  if ((await jobOn(tx, vmLock(id))) || (await hasFailed(tx, id))) return
  const origin = { command: 'consolidateVirtualMachine', account: vm.account_id, user: null }
  await jobs.start(tx, consolidateVm, { vm: id, evenShared: true }, origin)
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
