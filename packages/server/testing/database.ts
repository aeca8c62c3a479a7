// A real PostgreSQL for tests, one cluster a test process, one fresh database a caller.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { type EmbeddedPostgres, type PostgresOptions, startPostgres } from '../postgres/start-postgres.ts'

let cluster: Promise<EmbeddedPostgres & { directory: string }> | null = null
let databases = 0

/** The address of an empty database in this process's own cluster. */
export async function emptyDatabase(): Promise<string> {
  cluster ??= startCluster()
  const { url } = await cluster
  const name = `test_${process.pid}_${++databases}`
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`create database ${name}`)
  // No test with it cuts the power: those that kill PostgreSQL start their own.
  await client.query(`alter database ${name} set synchronous_commit = off`)
  await client.end()
  return url.replace('/ramet?', `/${name}?`)
}

/** For `after`: the cluster and its files go. */
export async function stopTestDatabase(): Promise<void> {
  if (!cluster) return
  const { directory, stop } = await cluster
  cluster = null
  await stop()
  await rm(directory, { recursive: true, force: true })
}

export async function startCluster(binaries?: PostgresOptions['binaries']) {
  const directory = await mkdtemp(join(tmpdir(), 'ramet-db-'))
  const postgres = await startPostgres({ directory, binaries, log: () => {} })
  return { ...postgres, directory }
}
