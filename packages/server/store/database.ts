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
  const pool = new pg.Pool({ connectionString: url, max: size, application_name: 'ramet' })
  pool.on('error', onError)
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  return { db, pool, close: () => db.destroy() }
}
