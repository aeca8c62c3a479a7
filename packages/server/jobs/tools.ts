// What the steps of a job may use. The driver in here looks at the job's lease before every call.
import type { AccountId, JobId, UserId } from '@ramet/core/ids.ts'
import type { Driver } from '../drivers/driver.ts'
import type { Settings } from '../settings.ts'
import type { Database, Db } from '../store/database.ts'
import type { Row } from '../store/tables.ts'
import type { Log } from '../log.ts'
import type { Passwords } from '../passwords.ts'
import type { JobDefinition } from './define-job.ts'

/** On whose behalf, and by which command, a job is started. */
export interface JobOrigin {
  readonly command: string
  readonly account: AccountId
  readonly user: UserId | null
}

/** Whoever started `job` also starts what follows from it. */
export function originOf(job: Row<'job'>): JobOrigin {
  return { command: job.command, account: job.account_id, user: job.user_id }
}

export interface JobStarter {
  /** Writes the job down within `db`; it begins when that is committed. */
  start<Input>(db: Db, definition: JobDefinition<Input>, input: Input, origin: JobOrigin): Promise<JobId>
}

export interface Tools {
  readonly db: Database
  readonly driver: Driver
  readonly settings: Settings
  readonly jobs: JobStarter
  readonly passwords: Passwords
  readonly log: Log
}
