// Brings a machine's recorded state to what its hypervisor does, where no job is at work on it: a guest that shut itself
// down becomes Stopped, one that outlived a crash of the server stays Running. Called when power changes, when a job
// ends, after start, and for all machines now and then.
import type { VmId } from '@ramet/core/ids.ts'
import { occupyingStates, type VmState } from '@ramet/core/vm.ts'
import type { Driver, Power } from '../drivers/driver.ts'
import type { Log } from '../log.ts'
import type { Database } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import { jobOn } from '../store/jobs.ts'
import { moveVm, vmLock } from '../store/vms.ts'

export interface PowerWatch {
  /** Looks at one machine now. */
  settle(vm: VmId, reason?: string): Promise<void>
  /** Looks at every machine that has or should have a process. */
  settleAll(): Promise<void>
  close(): void
}

export function watchPower(db: Database, driver: Driver, log: Log, everyMs = 30_000): PowerWatch {
  async function settle(vm: VmId, reason = 'found so'): Promise<void> {
    await db.transaction().execute(async tx => {
      const row = await tx.selectFrom('vm').selectAll().where('id', '=', vm).forUpdate().executeTakeFirst()
      if (!row || (await jobOn(tx, vmLock(vm)))) return
      // Asked for now, with the row locked: what was seen before may be the past already.
      const { power } = await driver.machines.facts(vm)
      if (agrees(row.state, power)) return
      const after = await (power === 'on'
        ? moveVm(tx, vm, 'FollowAgentPowerOnReport', { host_id: row.host_id ?? row.last_host_id })
        : moveVm(tx, vm, 'FollowAgentPowerOffReport', { host_id: null }))
      await recordEvent(tx, {
        type: power === 'on' ? 'VM.START' : 'VM.STOP',
        level: 'WARN',
        description: `virtual machine ${after.name} is ${after.state}: ${reason}`,
        account: after.account_id,
        resourceType: 'VirtualMachine',
        resource: vm,
      })
    })
  }

  async function settleAll(): Promise<void> {
    const recorded = await db
      .selectFrom('vm')
      .select('id')
      .where('removed', 'is', null)
      .where('state', 'in', [...occupyingStates])
      .execute()
    const running = (await driver.machines.list()).filter(({ power }) => power === 'on')
    const ids = new Set([...recorded.map(({ id }) => id), ...running.map(({ vm }) => vm)])
    for (const id of ids)
      await settle(id).catch(error => log.warn({ err: error, vm: id }, 'cannot settle the power state'))
  }

  const report = (error: unknown) => log.error({ err: error }, 'cannot follow a change of power')
  const stop = driver.onPowerChange(({ vm, reason }) => void settle(vm, reason).catch(report))
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
function agrees(state: VmState, power: Power): boolean {
  return settled[state] === power || (power === 'on' && ['Destroyed', 'Error', 'Expunging'].includes(state))
}
