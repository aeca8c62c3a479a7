// A VM snapshot's seed is made once, by whoever needs it first; the others wait for that job.
import { type LayerId, newId } from '@ramet/core/ids.ts'
import type { Tx } from '../store/database.ts'
import { holdLockKey } from '../store/jobs.ts'
import { demandPoolServesDisks } from '../store/pools.ts'
import { jobOnSnapshot, seedOf } from '../store/vm-snapshot-seeds.ts'
import { type StepContext, WaitForJob } from './define-job.ts'
import { refuseIfAwaitedJobFailed } from './others.ts'
import { type SeedVmSnapshot, seedVmSnapshot } from './seed-vm-snapshot.ts'
import type { TemplateCopy } from './template-on-pool.ts'
import { type JobOrigin, type JobStarter, originOf } from './tools.ts'

export type SeedAsked = Omit<SeedVmSnapshot, 'layer'>

/** The layer of the seed, or a WaitForJob for the job that is making it. */
export async function seedOnPool<I, M>(context: StepContext<I, M>, asked: SeedAsked): Promise<LayerId> {
  const { db, jobs, job } = context
  await refuseIfAwaitedJobFailed(context, seedVmSnapshot.traits.kind)
  const origin = { ...originOf(job), command: 'prepareTemplate' }
  const found = await db.transaction().execute(tx => findOrSeed(tx, jobs, asked, origin))
  if ('job' in found) throw new WaitForJob(found.job)
  return found.layer
}

/** The seed's layer if it is ready, else the job that makes it, begun here if nobody has. */
export async function findOrSeed(
  tx: Tx,
  jobs: JobStarter,
  { vm, snapshot, pool }: SeedAsked,
  origin: JobOrigin,
): Promise<TemplateCopy> {
  await demandPoolServesDisks(tx, pool)
  await holdLockKey(tx, `seed:${snapshot}`)
  const seed = await seedOf(tx, snapshot, pool)
  if (seed?.isReady) return { layer: seed.layer }
  const running = await jobOnSnapshot(tx, seedVmSnapshot.traits.kind, snapshot)
  if (running) return { job: running }
  return { job: await jobs.start(tx, seedVmSnapshot, { vm, snapshot, pool, layer: newId<'layer'>() }, origin) }
}
