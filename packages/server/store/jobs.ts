// The job and its steps on disk. Every write names the fence of its claim: a server that lost its lease writes nothing.
import type { JobId } from '@ramet/core/ids.ts'
import { type JobState, statesBefore } from '@ramet/core/job-state.ts'
import { Problem, type StoredProblem } from '@ramet/core/problem.ts'
import { sql } from 'kysely'
import type { Db, Tx } from './database.ts'
import type { Row } from './tables.ts'

export interface Claim {
  readonly id: JobId
  readonly fence: number
}

export class LeaseLost extends Problem {
  constructor(id: JobId) {
    super('unavailable', 'lease-lost', `Job ${id} is in the hands of another server`)
  }
}

/**
 * Takes the oldest job that may run now: nobody holds it, nothing it waits for is open, none of its key is before it.
 * Never one that this server is at work on: after a sleep its own lease may have run out under its hands.
 */
export async function claimJob(
  db: Db,
  owner: string,
  leaseMs: number,
  atWork: readonly JobId[],
): Promise<Row<'job'> | undefined> {
  const { rows } = await sql<Row<'job'>>`
    update job set owner = ${owner}, fence = fence + 1,
      lease_until = now() + ${leaseMs} * interval '1 ms',
      state = case state when 'queued' then 'running' else state end
    where id = (
      select j.id from job j
      where j.completed is null and j.state in ('queued', 'running', 'undoing')
        and (j.lease_until is null or j.lease_until < now())
        and j.id <> all (${atWork}::uuid[])
        and (j.cancel_asked or not exists (select 1 from job w where w.id = j.waits_for and w.completed is null))
        and not exists (select 1 from job e where e.lock_key = j.lock_key and e.completed is null and e.sequence < j.sequence)
      order by j.sequence limit 1
      for update skip locked)
    returning *`.execute(db)
  return rows[0]
}

/**
 * Makes jobs of one key be committed in the order of their sequence. Without it a later one could be seen, and begin,
 * before an earlier one that is still being committed.
 */
export async function holdLockKey(tx: Tx, lockKey: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${lockKey}, 0))`.execute(tx)
}

/** Extends the leases of `jobs`; returns the ids still held. */
export async function renewLeases(db: Db, owner: string, jobs: readonly JobId[], leaseMs: number): Promise<Set<JobId>> {
  const { rows } = await sql<{ id: JobId }>`
    update job set lease_until = now() + ${leaseMs} * interval '1 ms'
    where owner = ${owner} and completed is null and id = any(${jobs}::uuid[]) and lease_until > now()
    returning id`.execute(db)
  return new Set(rows.map(row => row.id))
}

/** Frees every job for claiming. Only for a server that knows to be alone, by the lock on its data directory. */
export async function voidLeases(db: Db): Promise<void> {
  await db.updateTable('job').set({ lease_until: null }).where('completed', 'is', null).execute()
}

/** Gives back what a closing server holds. */
export async function releaseLeases(db: Db, owner: string): Promise<void> {
  await db
    .updateTable('job')
    .set({ lease_until: null })
    .where('owner', '=', owner)
    .where('completed', 'is', null)
    .execute()
}

export async function holdsLease(db: Db, { id, fence }: Claim): Promise<boolean> {
  const row = await db
    .selectFrom('job')
    .select('id')
    .where('id', '=', id)
    .where('fence', '=', fence)
    .where('lease_until', '>', sql<Date>`now()`)
    .executeTakeFirst()
  return row !== undefined
}

/** Locks the job's row for this transaction, or throws LeaseLost. Tells whether a person wants the job to end. */
export async function holdJob(tx: Tx, { id, fence }: Claim): Promise<{ cancelAsked: boolean }> {
  const row = await tx
    .selectFrom('job')
    .select(['fence', 'cancel_asked'])
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  if (row?.fence !== fence) throw new LeaseLost(id)
  return { cancelAsked: row.cancel_asked }
}

export type Phase = Row<'job_step'>['phase']

/**
 * Notes how far a step is, and the job with it; one statement, so one durable write. Tells whether a person wants the job
 * to end.
 */
export async function markStep(
  db: Db,
  claim: Claim,
  mark: { step: string; phase: Phase; made?: unknown; percent: number },
): Promise<{ cancelAsked: boolean }> {
  const made = mark.made === undefined ? null : JSON.stringify(mark.made)
  const { rows } = await sql<{ cancel_asked: boolean }>`
    with held as (
      update job set step = ${mark.step}, percent = ${mark.percent}
      where id = ${claim.id} and fence = ${claim.fence} returning id, cancel_asked),
    marked as (
      insert into job_step (job_id, step, phase, made)
      select id, ${mark.step}, ${mark.phase}, ${made}::jsonb from held
      on conflict (job_id, step) do update set phase = excluded.phase,
        made = coalesce(excluded.made, job_step.made),
        attempts = job_step.attempts + case excluded.phase when 'started' then 1 else 0 end)
    select cancel_asked from held`.execute(db)
  const [held] = rows
  if (!held) throw new LeaseLost(claim.id)
  return { cancelAsked: held.cancel_asked }
}

export async function markPercent(db: Db, { id, fence }: Claim, percent: number): Promise<void> {
  await db.updateTable('job').set({ percent }).where('id', '=', id).where('fence', '=', fence).execute()
}

export interface StateChange {
  readonly state: JobState
  readonly problem?: StoredProblem
  readonly result?: Record<string, unknown>
  readonly waitsFor?: JobId
  readonly completed?: boolean
  readonly percent?: number
}

/** Moves the job, if its state has such a move; a finished, waiting or stuck one is let go of. */
export async function moveJob(db: Db, claim: Claim, change: StateChange): Promise<void> {
  const letGo = change.completed || change.waitsFor || change.state === 'stuck'
  const row = await db
    .updateTable('job')
    .set({
      state: change.state,
      ...(change.problem && { problem: JSON.stringify(change.problem) }),
      ...(change.result && { result: JSON.stringify(change.result) }),
      ...(change.waitsFor && { waits_for: change.waitsFor }),
      ...(change.percent !== undefined && { percent: change.percent }),
      ...(change.completed && { completed: new Date() }),
      ...(letGo && { lease_until: null, owner: null }),
    })
    .where('id', '=', claim.id)
    .where('fence', '=', claim.fence)
    .where('state', 'in', statesBefore(change.state))
    .returning('id')
    .executeTakeFirst()
  if (!row) throw new LeaseLost(claim.id)
}

export async function stepsOf(db: Db, id: JobId): Promise<Map<string, Row<'job_step'>>> {
  const rows = await db.selectFrom('job_step').selectAll().where('job_id', '=', id).execute()
  return new Map(rows.map(row => [row.step, row]))
}

/** The unfinished job that works on `lockKey`, oldest first. */
export async function jobOn(db: Db, lockKey: string): Promise<Row<'job'> | undefined> {
  return db
    .selectFrom('job')
    .selectAll()
    .where('lock_key', '=', lockKey)
    .where('completed', 'is', null)
    .orderBy('sequence')
    .executeTakeFirst()
}

/** Forgets jobs that ended more than `minutes` ago. */
export async function expireJobs(db: Db, minutes: number): Promise<void> {
  await sql`delete from job where completed < now() - ${minutes} * interval '1 minute'`.execute(db)
}
