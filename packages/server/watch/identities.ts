// Makes clones that go on from the memory of others somebody of their own, as soon as they run, and says what could not be confirmed.
// That one still waits for it is on its row, so whichever server comes next goes on. It is tried again until all is confirmed: the guest's
// agent may be late, and who mends what is wrong in the guest need not ask for it.
import { availableParallelism } from 'node:os'
import type { VmId } from '@ramet/core/ids.ts'
import type { Driver, GuestIdentity } from '../drivers/driver.ts'
import { seedId } from '../jobs/machine-spec.ts'
import { afterStarts } from '../jobs/start-turns.ts'
import type { Log } from '../log.ts'
import { type Database, inTransaction } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import { holdVm, nicsOf, setVm, type Vm } from '../store/vms.ts'
import type { Changes } from './changes.ts'

export interface IdentityWatch {
  /** Begins with those that wait for it. */
  look(): Promise<void>
  close(): Promise<void>
}

const limitMs = 120_000
/** Guests share the host's processors; more of them at once only take longer each. Half of its time, one waits for its services. */
const mostAtOnce = 4 * availableParallelism()
const againAfterMs = { first: 1000, last: 60_000 }

export function watchIdentities(
  { db, driver, changes, log }: { db: Database; driver: Driver; changes: Changes; log: Log },
  everyMs = 1000,
): IdentityWatch {
  const atWork = new Map<VmId, Promise<void>>()
  const waits = new Map<VmId, { readonly ms: number; readonly until: number }>()
  const end = new AbortController()

  async function look(): Promise<void> {
    const waiting = await waitingFor(db)
    for (const vm of waits.keys()) if (!waiting.includes(vm)) waits.delete(vm)
    for (const vm of waiting) if (!end.signal.aborted && isDue(vm)) begin(vm)
  }

  function isDue(vm: VmId): boolean {
    return atWork.size < mostAtOnce && !atWork.has(vm) && (waits.get(vm)?.until ?? 0) <= performance.now()
  }

  function begin(vm: VmId): void {
    atWork.set(vm, work(vm).catch(report))
  }

  async function work(vm: VmId): Promise<void> {
    const isDone = await afterStarts(end.signal, () => customize(db, driver, vm, end.signal)).catch(
      (error: unknown) => {
        if (!end.signal.aborted) log.warn({ err: error, vm }, 'cannot customize a clone')
        return false
      },
    )
    atWork.delete(vm)
    if (isDone) waits.delete(vm)
    else waitFor(vm)
    if (!end.signal.aborted) await look()
  }

  function waitFor(vm: VmId): void {
    const before = waits.get(vm)?.ms
    const ms = before ? Math.min(2 * before, againAfterMs.last) : againAfterMs.first
    waits.set(vm, { ms, until: performance.now() + ms })
  }

  const report = (error: unknown) => log.error({ err: error }, 'cannot look for clones that wait to be customized')
  const stop = changes.listen(({ table, state }) => {
    if (table === 'vm' && state === 'Running') look().catch(report)
  })
  const timer = setInterval(() => void look().catch(report), everyMs)
  timer.unref()
  return {
    look,
    async close() {
      stop()
      clearInterval(timer)
      end.abort()
      await Promise.all(atWork.values())
    },
  }
}

/** Not those that are still being given their own cards: they would hold a place until they have them. */
async function waitingFor(db: Database): Promise<VmId[]> {
  const rows = await db
    .selectFrom('vm')
    .select('id')
    .where('customized', '=', false)
    .where('cluster_id', 'is', null) // elsewhere nobody looks into guests
    .where('removed', 'is', null)
    .where('state', '=', 'Running')
    .where(({ exists, not, selectFrom }) => {
      const unfinished = selectFrom('job')
        .select('job.id')
        .where('completed', 'is', null)
        .where('job.state', '!=', 'stuck')
      return not(exists(unfinished.whereRef('instance_id', '=', 'vm.id').where('kind', '=', 'change-cards')))
    })
    .orderBy('number')
    .execute()
  return rows.map(({ id }) => id)
}

/** False when something is not confirmed yet. */
async function customize(db: Database, driver: Driver, id: VmId, signal: AbortSignal): Promise<boolean> {
  const vm = await db.selectFrom('vm').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const problems = await driver.machines.customize(id, await identityOf(db, vm), limitMs, signal)
  await inTransaction(db, async tx => {
    const now = await holdVm(tx, id)
    // It may have been stopped, given another name, or reverted meanwhile.
    if (now.customized || now.state !== 'Running' || now.name !== vm.name || seedId(now) !== seedId(vm)) return
    if (problems.length > 0 && problems.join() === now.identity_problems.join()) return
    await setVm(tx, id, { customized: problems.length === 0, identity_problems: [...problems] })
    await recordEvent(tx, {
      type: 'VM.CUSTOMIZE',
      level: problems.length === 0 ? 'INFO' : 'WARN',
      description:
        problems.length === 0
          ? `virtual machine ${vm.name} is customized: each part of its identity was confirmed by its guest`
          : `virtual machine ${vm.name} is not customized yet: ${problems.join('; ')}`,
      account: vm.account_id,
      resourceType: 'VirtualMachine',
      resource: id,
    })
  })
  return problems.length === 0
}

async function identityOf(db: Database, vm: Vm): Promise<GuestIdentity> {
  const cards = (await nicsOf(db, vm.id)).map(({ mac, ip_address: address }) => ({ mac, address }))
  return { instanceId: seedId(vm), hostname: vm.name, cards, ageMs: Date.now() - vm.created.getTime() }
}
