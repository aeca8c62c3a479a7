// A stand-in for the server, for tests that kill it: takes the lock, starts PostgreSQL and says "ready".
// Given "write" it then commits rows as fast as it can, and says "ack N" after each commit.
//   node server.ts DIRECTORY system|npm [write]
import { Client } from 'pg'
import type { Installation } from '../installation.ts'
import { lockDataDirectory } from '../lock-data-directory.ts'
import { startPostgres } from '../start-postgres.ts'

const [directory = '', binaries, task] = process.argv.slice(2)
await lockDataDirectory(directory)
const postgres = await startPostgres({ directory, binaries: binaries as Installation['kind'], log: () => {} })
console.log('ready')

if (task === 'write') {
  const client = new Client({ connectionString: postgres.url })
  await client.connect()
  await client.query('CREATE TABLE IF NOT EXISTS row (n int PRIMARY KEY)')
  await client.query('CREATE TABLE IF NOT EXISTS tally AS SELECT 0 AS rows')
  for (let n = await nextRow(client); ; n++) {
    await client.query('BEGIN')
    await client.query('INSERT INTO row VALUES ($1)', [n])
    await client.query('UPDATE tally SET rows = rows + 1')
    await client.query('COMMIT')
    console.log(`ack ${n}`)
  }
}

async function nextRow(client: Client): Promise<number> {
  const { rows } = await client.query<{ next: number }>('SELECT coalesce(max(n), 0) + 1 AS next FROM row')
  return rows[0]?.next ?? 1
}
