// Brings a primary storage into maintenance: nothing new goes there, the machines with disks on it are stopped, and what is at
// work on it comes to its end. Then nobody reads or writes it until cancelStorageMaintenance.
import type { StoragePoolId } from '@ramet/core/ids.ts'
import type { PoolState } from '@ramet/core/pool.ts'
import { occupyingStates } from '@ramet/core/vm.ts'
import { sql } from 'kysely'
import type { Db } from '../store/database.ts'
import { jobOn } from '../store/jobs.ts'
import { movePool, poolLock, setPool } from '../store/pools.ts'
import type { Row } from '../store/tables.ts'
import { vmLock } from '../store/vms.ts'
import { defineJob, nothing, type StepContext, WaitForJob } from './define-job.ts'
import { refuseIfAwaitedJobFailed } from './others.ts'
import { stopVm } from './stop-vm.ts'
import { originOf } from './tools.ts'

export interface MaintainPool {
  readonly pool: StoragePoolId
  /** What it was, and is again if this fails. */
  readonly from: PoolState
}

export const maintainPool = defineJob<MaintainPool>({
  kind: 'maintain-pool',
  event: 'MAINT.PREPARE.PS',
  doing: 'bringing storage pool into maintenance',
  instanceType: 'StoragePool',
  cancellable: true,
  lock: input => poolLock(input.pool),
  instance: input => input.pool,
})
  .record('close', {
    do: async ({ tx, input }) => {
      await movePool(tx, input.pool, 'prepareMaintenance')
    },
    undo: async ({ tx, input }) => setPool(tx, input.pool, { state: input.from }),
  })
  .act('quieten', { do: quieten, undo: nothing('machines that were stopped stay so; their owners may start them') })
  .record('enter', {
    do: async ({ tx, input }) => {
      await movePool(tx, input.pool, 'enterMaintenance')
    },
    undo: nothing('nothing follows it'),
  })

/** Waits for one job after the other until none is at work on the pool and no machine with a disk there runs. */
async function quieten(context: StepContext<MaintainPool, object>): Promise<void> {
  const { db, input, jobs, job } = context
  await refuseIfAwaitedJobFailed(context, 'stop-vm')
  const busy =
    (await copyAtWork(db, input.pool)) ??
    (await machineAtWork(db, input.pool)) ??
    (await looseDiskAtWork(db, input.pool))
  if (busy) throw new WaitForJob(busy)
  const running = await db
    .selectFrom('vm')
    .select('vm.id')
    .where('vm.state', 'in', [...occupyingStates])
    .where(hasDiskOn(input.pool))
    .executeTakeFirst()
  if (running) throw new WaitForJob(await jobs.start(db, stopVm, { vm: running.id, forced: false }, originOf(job)))
}

function hasDiskOn(pool: StoragePoolId) {
  return sql<boolean>`exists (
    select 1 from volume v where v.vm_id = vm.id and v.pool_id = ${pool} and v.removed is null)`
}

async function machineAtWork(db: Db, pool: StoragePoolId): Promise<Row<'job'>['id'] | undefined> {
  const vms = await db
    .selectFrom('vm')
    .select('vm.id')
    .innerJoin('job', join => join.on(sql<boolean>`job.lock_key = 'vm:' || vm.id`).on('job.completed', 'is', null))
    .where(hasDiskOn(pool))
    .executeTakeFirst()
  return vms && (await jobOn(db, vmLock(vms.id)))?.id
}

/** A job on a volume of the pool that belongs to no machine. */
async function looseDiskAtWork(db: Db, pool: StoragePoolId): Promise<Row<'job'>['id'] | undefined> {
  const job = await db
    .selectFrom('volume')
    .innerJoin('job', join =>
      join.on(sql<boolean>`job.lock_key = 'volume:' || volume.id`).on('job.completed', 'is', null),
    )
    .select('job.id')
    .where('volume.pool_id', '=', pool)
    .where('volume.removed', 'is', null)
    .executeTakeFirst()
  return job?.id
}

/** A copy of a template or of a VM snapshot that is being made there, or a volume's that is moved there. */
async function copyAtWork(db: Db, pool: StoragePoolId): Promise<Row<'job'>['id'] | undefined> {
  const copy = await db
    .selectFrom('job')
    .select('id')
    .where('kind', 'in', ['prepare-template', 'seed-vm-snapshot', 'migrate-volume'])
    .where('completed', 'is', null)
    .where(sql<boolean>`input ->> 'pool' = ${pool}`)
    .executeTakeFirst()
  return copy?.id
}
