// Jobs that are done by other jobs: what an account owns goes by the ordinary job of each kind. A step that needs them
// starts what is missing and waits; when it runs again it looks again, so it needs no memory of its own.
import type { JobId } from '@ramet/core/ids.ts'
import { restoreProblem } from '@ramet/core/problem.ts'
import { inTransaction, type Tx } from '../store/database.ts'
import { holdLockKey } from '../store/jobs.ts'
import { type JobDefinition, type StepContext, WaitForJob } from './define-job.ts'
import { type JobOrigin, type JobStarter, originOf } from './tools.ts'

/** Goes on only when `open` finds no job, of `kind`, to wait for; fails when the one it waited for did. */
export async function untilNoneIsLeft<I, M>(
  context: StepContext<I, M>,
  kind: string,
  open: (tx: Tx, origin: JobOrigin) => Promise<JobId[]>,
): Promise<void> {
  await refuseIfAwaitedJobFailed(context, kind)
  const [first] = await inTransaction(context.db, tx => open(tx, originOf(context.job)))
  if (first) throw new WaitForJob(first)
}

/** What the job that this one waited for failed of, if it was of that kind, is its own failure too. */
export async function refuseIfAwaitedJobFailed<I, M>({ db, job }: StepContext<I, M>, kind: string): Promise<void> {
  if (!job.waits_for) return
  const awaited = await db
    .selectFrom('job')
    .select(['state', 'problem'])
    .where('id', '=', job.waits_for)
    .where('kind', '=', kind)
    .executeTakeFirst()
  if (awaited?.state === 'failed' && awaited.problem) throw restoreProblem(awaited.problem)
  // One that was cancelled was another's decision.
}

/** Goes on only when job `id`, of `kind`, has ended; fails when that did. */
export async function untilEnded<I, M>(context: StepContext<I, M>, kind: string, id: JobId): Promise<void> {
  await refuseIfAwaitedJobFailed(context, kind)
  const open = await context.db
    .selectFrom('job')
    .select('id')
    .where('id', '=', id)
    .where('completed', 'is', null)
    .executeTakeFirst()
  if (open) throw new WaitForJob(id)
}

/** The unfinished job of this kind on the same thing, or a new one. */
export async function startOnce<I>(
  tx: Tx,
  jobs: JobStarter,
  definition: JobDefinition<I>,
  input: I,
  origin: JobOrigin,
): Promise<JobId> {
  const { kind, lock } = definition.traits
  await holdLockKey(tx, lock(input))
  const found = await openJobOf(tx, kind, lock(input))
  return found ?? jobs.start(tx, definition, input, origin)
}

export async function openJobOf(tx: Tx, kind: string, lockKey: string): Promise<JobId | undefined> {
  const job = await tx
    .selectFrom('job')
    .select('id')
    .where('lock_key', '=', lockKey)
    .where('kind', '=', kind)
    .where('completed', 'is', null)
    .executeTakeFirst()
  return job?.id
}

/** For a record step: goes on when the job is done; fails of what it failed of. */
export async function untilDone(tx: Tx, id: JobId): Promise<void> {
  const job = await tx.selectFrom('job').select(['completed', 'problem']).where('id', '=', id).executeTakeFirst()
  if (job && !job.completed) throw new WaitForJob(id)
  if (job?.problem) throw restoreProblem(job.problem)
}
