// Brings a database to the present shape: an empty one by schema.sql, an older one by the numbered migrations it lacks.
import { readdir, readFile } from 'node:fs/promises'
import { Problem } from '@ramet/core/problem.ts'
import { sql } from 'kysely'
import type { Database, Tx } from './database.ts'

const here = import.meta.dirname

export interface Migration {
  readonly name: string
  readonly text: string
}

export async function migrations(): Promise<Migration[]> {
  const names = (await readdir(`${here}/migrations`)).filter(name => name.endsWith('.sql')).sort()
  return Promise.all(names.map(async name => ({ name, text: await readFile(`${here}/migrations/${name}`, 'utf8') })))
}

export async function migrate(db: Database): Promise<void> {
  const all = await migrations()
  await db.transaction().execute(async tx => {
    // Two servers may start at once; the second waits here and then finds nothing to do.
    await sql`select pg_advisory_xact_lock(hashtext('ramet.migrate'))`.execute(tx)
    await sql`create table if not exists migration (name text primary key, applied timestamptz not null default now())`.execute(
      tx,
    )
    const { rows } = await sql<{ name: string }>`select name from migration`.execute(tx)
    const applied = new Set(rows.map(row => row.name))
    if (applied.size === 0) return fromSchema(tx, all)
    refuseNewer(applied, all)
    for (const each of all.filter(({ name }) => !applied.has(name))) await apply(tx, each)
  })
}

function refuseNewer(applied: ReadonlySet<string>, all: readonly Migration[]): void {
  const unknown = [...applied].filter(name => !all.some(each => each.name === name))
  if (unknown.length === 0) return
  const reason = `The database was brought to ${unknown.join(', ')} by a newer version of Ramet; run that version`
  throw new Problem('refused', 'database-newer', reason)
}

async function fromSchema(tx: Tx, all: Migration[]): Promise<void> {
  await sql.raw(await readFile(`${here}/schema.sql`, 'utf8')).execute(tx)
  for (const { name } of all) await record(tx, name)
}

export async function apply(tx: Tx, { name, text }: Migration): Promise<void> {
  await sql.raw(text).execute(tx)
  await record(tx, name)
}

async function record(tx: Tx, name: string): Promise<void> {
  await sql`insert into migration (name) values (${name})`.execute(tx)
}
