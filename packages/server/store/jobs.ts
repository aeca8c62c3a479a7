// The job and its steps on disk. Every write names the fence of its claim: a server that lost its lease writes nothing.
import type { JobId } from '@ramet/core/ids.ts'
import { type JobState, statesBefore } from '@ramet/core/job-state.ts'
import { Problem, type StoredProblem } from '@ramet/core/problem.ts'
import { type Insertable, type RawBuilder, sql } from 'kysely'
import type { Db, Tx } from './database.ts'
import type { Row, Tables } from './tables.ts'

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
 * Takes the oldest jobs that may run now, at most `most`: nobody holds them, nothing they wait for is open, none of their
 * key is before them. Never one that this server is at work on: after a sleep its own lease may have run out under its
 * hands. The first claim of a job is its start, and tells so in the event log.
 */
export async function claimJobs(
  db: Db,
  owner: string,
  leaseMs: number,
  atWork: readonly JobId[],
  most: number,
): Promise<Row<'job'>[]> {
  const { rows } = await sql<Row<'job'>>`
    with oldest as materialized (
        select j.id from job j
        where j.completed is null and j.state in ('queued', 'running', 'undoing')
          and (j.lease_until is null or j.lease_until < now())
          and j.id <> all (${atWork}::uuid[])
          and (j.cancel_asked or not exists (select 1 from job w where w.id = j.waits_for and w.completed is null))
          and not exists (select 1 from job e where e.lock_key = j.lock_key and e.completed is null and e.sequence < j.sequence)
        order by j.sequence limit ${most}
        for update skip locked),
    claimed as (
      update job set owner = ${owner}, fence = fence + 1,
        lease_until = now() + ${leaseMs} * interval '1 ms',
        state = case state when 'queued' then 'running' else state end
      where id in (select id from oldest)
      returning *),
    told as (
      insert into event (id, start_event_id, account_id, user_id, type, level, state, description, resource_type, resource_id)
      select gen_random_uuid(), e.id, e.account_id, e.user_id, e.type, e.level, 'Started', e.description, e.resource_type, e.resource_id
      from claimed join event e on e.id = claimed.start_event_id where claimed.fence = 1)
    select * from claimed order by sequence`.execute(db)
  return rows
}

/**
 * A new job, and the event that it is scheduled. The lock makes jobs of one key be committed in the order of their sequence,
 * which is drawn when it is held: otherwise a later one could be seen, and begin, before an earlier one.
 */
export async function insertScheduled(
  tx: Tx,
  event: Insertable<Tables['event']>,
  job: Insertable<Tables['job']>,
): Promise<void> {
  const names = (row: object) => sql.join(Object.keys(row).map(name => sql.ref(name)))
  const values = (row: object) => sql.join(Object.values(row))
  await sql`
    with held as materialized (select pg_advisory_xact_lock(hashtextextended(${job.lock_key}, 0))),
    scheduled as (insert into event (${names(event)}) values (${values(event)}))
    insert into job (${names(job)}) select ${values(job)} from held`.execute(tx)
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

/** Locks the job's row for this transaction, or throws LeaseLost. */
export async function holdJob(tx: Tx, { id, fence }: Claim): Promise<Row<'job'>> {
  const row = await tx.selectFrom('job').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
  if (row?.fence !== fence) throw new LeaseLost(id)
  return row
}

/** So long after an act was noted as begun nobody else can have claimed its job. */
export const freshMs = 1_000

export type Phase = Row<'job_step'>['phase']

/** How far one step is, and what it made. */
export interface Mark {
  readonly step: string
  readonly phase: Phase
  readonly made?: unknown
}

export interface JobChange {
  readonly step?: string
  readonly percent?: number
  readonly state?: JobState
  readonly problem?: StoredProblem
  readonly result?: Record<string, unknown>
  readonly waitsFor?: JobId
  readonly completed?: boolean
}

/**
 * Notes how far the job and its steps are: one statement, so one durable write. A state changes only if the job's has such
 * a move; a finished, waiting or stuck job is let go of. An act begins only under a lease that lasts `freshMs` at least.
 * Returns the job as it is now.
 */
export async function noteJob(
  db: Db,
  claim: Claim,
  change: JobChange,
  marks: readonly Mark[] = [],
): Promise<Row<'job'>> {
  const begins = marks.some(({ phase }) => phase === 'started')
  const { rows } = await sql<Row<'job'>>`
    with held as (
      update job set ${sql.join(assignments(change))}
      where id = ${claim.id} and fence = ${claim.fence}
        and ${begins ? sql<boolean>`lease_until > now() + ${freshMs} * interval '1 ms'` : sql<boolean>`true`}
        and ${change.state ? sql<boolean>`state = any (${statesBefore(change.state)})` : sql<boolean>`true`}
      returning *),
    marked as (
      insert into job_step (job_id, step, phase, made)
      select held.id, mark.step, mark.phase, mark.made
      from held, jsonb_to_recordset(${JSON.stringify(marks)}::jsonb) as mark (step text, phase text, made jsonb)
      on conflict (job_id, step) do update set phase = excluded.phase,
        made = coalesce(excluded.made, job_step.made),
        attempts = job_step.attempts + case excluded.phase when 'started' then 1 else 0 end)
    select * from held`.execute(db)
  const [held] = rows
  if (!held) throw new LeaseLost(claim.id)
  return held
}

function assignments(change: JobChange): RawBuilder<unknown>[] {
  const letGo = change.completed || change.waitsFor || change.state === 'stuck'
  return [
    sql`fence = fence`,
    ...(change.step === undefined ? [] : [sql`step = ${change.step}`]),
    ...(change.percent === undefined ? [] : [sql`percent = ${change.percent}`]),
    ...(change.state ? [sql`state = ${change.state}`] : []),
    ...(change.problem ? [sql`problem = ${JSON.stringify(change.problem)}::jsonb`] : []),
    ...(change.result ? [sql`result = ${JSON.stringify(change.result)}::jsonb`] : []),
    ...(change.waitsFor ? [sql`waits_for = ${change.waitsFor}`] : []),
    ...(change.completed ? [sql`completed = now()`] : []),
    ...(letGo ? [sql`lease_until = null, owner = null`] : []),
  ]
}

export async function markPercent(db: Db, { id, fence }: Claim, percent: number): Promise<void> {
  await db.updateTable('job').set({ percent }).where('id', '=', id).where('fence', '=', fence).execute()
}

export async function stepsOf(db: Db, id: JobId): Promise<Map<string, Row<'job_step'>>> {
  const rows = await db.selectFrom('job_step').selectAll().where('job_id', '=', id).execute()
  return new Map(rows.map(row => [row.step, row]))
}

/** Nobody else writes down a job of this key until `tx` ends. */
export async function holdLockKey(tx: Tx, lockKey: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${lockKey}, 0))`.execute(tx)
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
