// Brings a machine's recorded state to what its hypervisor does, where no job is at work on it: a guest that shut itself
// down becomes Stopped, one that outlived a crash of the server stays Running. Called when power changes, when a job
// ends, after start, and for all machines now and then.
import type { ClusterId, VmId } from '@ramet/core/ids.ts'
import type { VmState } from '@ramet/core/vm.ts'
import type { Driver, MachineFacts, Power } from '../drivers/driver.ts'
import type { Drivers } from '../drivers/drivers.ts'
import type { Log } from '../log.ts'
import type { Database } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import { jobOn } from '../store/jobs.ts'
import { moveVm, type Vm, vmLock } from '../store/vms.ts'

export interface PowerWatch {
  /** Looks at one machine now. */
  settle(vm: VmId, reason?: string): Promise<void>
  /** Looks at every machine. */
  settleAll(): Promise<void>
  close(): void
}

export function watchPower(db: Database, drivers: Drivers, log: Log, everyMs = 30_000): PowerWatch {
  /** Of changes that are being settled: a look by somebody who knows no reason may be the one that sees them first. */
  const reasons = new Map<VmId, string>()

  async function settle(vm: VmId, reason?: string): Promise<void> {
    if (reason === undefined) return look(vm)
    reasons.set(vm, reason)
    await look(vm).finally(() => reasons.delete(vm))
  }

  async function look(vm: VmId): Promise<void> {
    await db.transaction().execute(async tx => {
      const row = await tx.selectFrom('vm').selectAll().where('id', '=', vm).forUpdate().executeTakeFirst()
      if (!row || (await jobOn(tx, vmLock(vm)))) return
      // Asked for now, with the row locked: what was seen before may be the past already.
      const facts = await drivers.of(row.cluster_id).machines.facts(vm)
      const { power } = facts
      if (agrees(row, facts)) return
      const after = await (power === 'on'
        ? moveVm(tx, vm, 'FollowAgentPowerOnReport', {
            host_id: facts.host ?? row.host_id ?? row.last_host_id,
            target_host_id: null,
          })
        : moveVm(tx, vm, 'FollowAgentPowerOffReport', { host_id: null, target_host_id: null }))
      await recordEvent(tx, {
        type: power === 'on' ? 'VM.START' : 'VM.STOP',
        level: 'WARN',
        description: `virtual machine ${after.name} is ${after.state}: ${reasons.get(vm) ?? 'found so'}`,
        account: after.account_id,
        resourceType: 'VirtualMachine',
        resource: vm,
      })
    })
  }

  /** Only those are asked again, and locked, that seem to differ: of thousands, hardly any do. */
  async function settleAll(): Promise<void> {
    await settleThoseOf(null, drivers.own)
    for (const [cluster, driver] of drivers.opened())
      await settleThoseOf(cluster, driver).catch(error =>
        log.warn({ err: error, cluster }, 'cannot settle power states'),
      )
  }

  async function settleThoseOf(cluster: ClusterId | null, driver: Driver): Promise<void> {
    const found = new Map((await driver.machines.list()).map(facts => [facts.vm, facts]))
    const recorded = await db
      .selectFrom('vm')
      .select(['id', 'state', 'host_id'])
      .where('removed', 'is', null)
      .where('cluster_id', cluster ? '=' : 'is', cluster)
      .execute()
    const off = (vm: VmId) => ({ vm, power: 'off', host: null, sshPorts: {} }) as const
    for (const row of recorded)
      if (!agrees(row, found.get(row.id) ?? off(row.id)))
        await settle(row.id).catch(error => log.warn({ err: error, vm: row.id }, 'cannot settle the power state'))
  }

  const report = (error: unknown) => log.error({ err: error }, 'cannot follow a change of power')
  const listen = (driver: Driver) => driver.onPowerChange(({ vm, reason }) => void settle(vm, reason).catch(report))
  const stop = listen(drivers.own)
  drivers.onOpen((cluster, driver) => {
    settleThoseOf(cluster, driver).catch(report)
    return listen(driver)
  })
  const timer = setInterval(() => void settleAll().catch(report), everyMs)
  timer.unref()
  return {
    settle,
    settleAll,
    close() {
      stop()
      clearInterval(timer)
    },
  }
}

const settled: Partial<Record<VmState, Power>> = {
  Running: 'on',
  Stopped: 'off',
  Destroyed: 'off',
  Error: 'off',
  Restoring: 'off',
  Expunging: 'off',
}

/** States without a settled power (Starting, Stopping) never agree: with no job at work on them they are leftovers. */
function agrees({ state, host_id }: Pick<Vm, 'state' | 'host_id'>, { power, host }: MachineFacts): boolean {
  if (power === 'on' && ['Destroyed', 'Error', 'Expunging'].includes(state)) return true
  return settled[state] === power && (host === null || host === host_id)
}
