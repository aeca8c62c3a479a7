// Brings a host into maintenance: nothing new is placed there, and its machines migrate to other hosts of the cluster. When some
// cannot, the host stays in ErrorInMaintenance, with those machines running, until it is asked again or taken back.
import type { HostId, JobId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { sql, type SqlBool } from 'kysely'
import { hostLock, machinesOn, moveHost } from '../store/hosts.ts'
import { jobOn } from '../store/jobs.ts'
import type { Row } from '../store/tables.ts'
import { vmLock } from '../store/vms.ts'
import { defineJob, nothing, type StepContext, WaitForJob } from './define-job.ts'
import { migrateVm } from './migrate-vm.ts'
import { originOf } from './tools.ts'

export interface EmptyHost {
  readonly host: HostId
}

type Context = StepContext<EmptyHost, object>

export const emptyHost = defineJob<EmptyHost>({
  kind: 'empty-host',
  event: 'MAINT.PREPARE',
  doing: 'preparing host for maintenance',
  instanceType: 'Host',
  cancellable: true,
  lock: input => hostLock(input.host),
  instance: input => input.host,
})
  .record('begin', {
    do: async ({ tx, input, driver }) => {
      const host = await moveHost(tx, input.host, 'AdminAskMaintenance')
      const machines = await machinesOn(tx, host.id)
      if (!driver.capabilities.migrate && machines.length > 0) throw cannotLeave(host.name, machines)
    },
    undo: async ({ tx, input, problem }) => {
      const event = problem?.kind === 'cancelled' ? 'AdminCancelMaintenance' : 'UnableToMaintain'
      await moveHost(tx, input.host, event)
    },
  })
  .act('migrate-machines', {
    do: migrateMachines,
    undo: nothing('machines that have moved stay where they are'),
  })
  .record('enter', {
    do: async ({ tx, input }) => {
      const { name } = await moveHost(tx, input.host, 'InternalEnterMaintenance')
      const machines = await machinesOn(tx, input.host)
      if (machines.length > 0) throw stillThere(name, machines, 'they came meanwhile; ask again')
    },
    undo: nothing('nothing follows it'),
  })

/** Starts what is to be started, and waits for one job after the other until the host is empty. */
async function migrateMachines(context: Context): Promise<void> {
  const { db, input } = context
  const machines = await machinesOn(db, input.host)
  const [refused, waits]: [string[], JobId[]] = [[], []]
  for (const vm of machines) {
    const open = await jobOn(db, vmLock(vm.id))
    const failed = open ? null : await failedMigration(context, vm)
    if (failed) refused.push(failed)
    else waits.push(open?.id ?? (await startMigration(context, vm)))
  }
  const last = waits.at(-1)
  if (last) throw new WaitForJob(last)
  const host = await db.selectFrom('host').select('name').where('id', '=', input.host).executeTakeFirstOrThrow()
  if (refused.length > 0) throw stillThere(host.name, machines, refused.join('; '))
}

function startMigration({ db, jobs, job }: Context, vm: Row<'vm'>): Promise<JobId> {
  return jobs.start(
    db,
    migrateVm,
    { vm: vm.id, host: null, cause: job.id },
    { ...originOf(job), command: 'migrateVirtualMachine' },
  )
}

/** Why the migration that this job has started for the machine failed, if it did. */
async function failedMigration({ db, job }: Context, vm: Row<'vm'>): Promise<string | null> {
  const failed = await db
    .selectFrom('job')
    .select('problem')
    .where('lock_key', '=', vmLock(vm.id))
    .where('kind', '=', migrateVm.traits.kind)
    .where('state', 'in', ['failed', 'cancelled'])
    .where('sequence', '>', job.sequence)
    .where(sql<SqlBool>`input ->> 'cause' = ${job.id}`)
    .executeTakeFirst()
  return failed ? `${vm.name}: ${failed.problem?.message ?? 'cancelled'}` : null
}

function cannotLeave(host: string, machines: readonly Row<'vm'>[]): Problem {
  return new Problem(
    'refused',
    'cannot-migrate',
    `Host ${host} runs ${namesOf(machines)}, and its hypervisor cannot move running machines to another host. Stop them first`,
  )
}

function stillThere(host: string, machines: readonly Row<'vm'>[], why: string): Problem {
  return new Problem('refused', 'host-not-empty', `Host ${host} still runs ${namesOf(machines)} (${why})`)
}

const mostNames = 10

function namesOf(machines: readonly Row<'vm'>[]): string {
  const names = machines.slice(0, mostNames).map(({ name }) => name)
  const rest = machines.length - names.length
  return rest > 0 ? `${names.join(', ')} and ${rest} more` : names.join(', ')
}
