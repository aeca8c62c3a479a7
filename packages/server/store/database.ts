// The way to PostgreSQL: one pool, one dialect, embedded or not.
import { Kysely, PostgresDialect, type Transaction } from 'kysely'
import pg from 'pg'
import type { Tables } from './tables.ts'

export type Database = Kysely<Tables>
export type Tx = Transaction<Tables>
/** Where a query runs: on its own, or within the transaction that justifies it. */
export type Db = Database | Tx

// Sizes and sequences are bigint in the database and stay far below 2^53, so they are numbers here.
pg.types.setTypeParser(pg.types.builtins.INT8, Number)

export interface Connection {
  readonly db: Database
  readonly pool: pg.Pool
  close(): Promise<void>
}

/** Connects to `url`; a broken idle connection is told to `onError` and replaced by the pool. */
export function connect(url: string, onError: (error: Error) => void, size = 20): Connection {
  const pool = new pg.Pool({
    connectionString: url,
    max: size,
    connectionTimeoutMillis: 30_000,
    application_name: 'ramet',
  })
  pool.on('error', onError)
  // The pool listens to idle connections only; one that breaks within a transaction would end the process.
  pool.on('connect', client => client.on('error', onError))
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  return { db, pool, close: () => db.destroy() }
}

// Two transactions stood in each other's way, and PostgreSQL ended this one: https://www.postgresql.org/docs/15/errcodes-appendix.html
const passing = new Set(['40001', '40P01'])

/** Runs `change` in a transaction; one that PostgreSQL ended for the sake of another is tried again. */
export async function inTransaction<T>(db: Database, change: (tx: Tx) => Promise<T>, tries = 5): Promise<T> {
  try {
    return await db.transaction().execute(change)
  } catch (error) {
    const isPassing = error instanceof pg.DatabaseError && passing.has(error.code ?? '')
    if (!isPassing || tries <= 1) throw error
    return inTransaction(db, change, tries - 1)
  }
}

/** A unique index refused the row: https://www.postgresql.org/docs/15/errcodes-appendix.html */
export function isDuplicate(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '23505'
}
