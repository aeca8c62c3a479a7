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

/**
 * Has PostgreSQL parse and plan each statement once per connection: the statements of a deployment are always the same, and
 * planning is the larger part of their cost. A text that varies, with the length of a list for example, is prepared as long
 * as there is room (a prepared statement stays in PostgreSQL's memory while its connection lives).
 */
class PreparingClient extends pg.Client {
  readonly #names = new Map<string, string>()

  override query(...args: never[]): never {
    const [text, values, ...rest] = args as unknown[]
    // Without values it may be several statements at once, a migration for example, and those cannot be prepared.
    const name = typeof text === 'string' && Array.isArray(values) && values.length > 0 ? this.#nameOf(text) : undefined
    const query = super.query as (...args: unknown[]) => never
    return name ? query.call(this, { name, text, values }, ...rest) : query.apply(this, args)
  }

  #nameOf(text: string): string | undefined {
    const known = this.#names.get(text)
    if (known ?? this.#names.size >= mostPrepared) return known
    const name = `s${this.#names.size}`
    this.#names.set(text, name)
    return name
  }
}
const mostPrepared = 400

/** Connects to `url`; a broken idle connection is told to `onError` and replaced by the pool. */
export function connect(url: string, onError: (error: Error) => void, size = 20): Connection {
  const pool = new pg.Pool({
    Client: PreparingClient,
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
