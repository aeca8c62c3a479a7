import assert from 'node:assert/strict'
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isRoot } from './account.ts'
import { oldestMajor } from './installation.ts'
import { type EmbeddedPostgres, startPostgres } from './start-postgres.ts'
import { isAlive, kinds, postmasterPid, query, scratchDirectory, start, until } from './testing/lab.ts'

for (const { kind, skip } of kinds) {
  describe(`PostgreSQL of kind "${kind}"`, { skip }, () => {
    let scratch: Awaited<ReturnType<typeof scratchDirectory>>
    let postgres: EmbeddedPostgres
    const log: string[] = []
    const again = async () =>
      startPostgres({ directory: scratch.directory, binaries: kind, log: line => log.push(line) })

    before(async () => {
      scratch = await scratchDirectory()
      postgres = await again()
    })
    after(async () => {
      await postgres?.stop()
      await scratch.remove()
    })

    test('a first start makes a database with the encoding, locale and guards we rely on', async () => {
      const [row] = await query(
        postgres,
        `SELECT current_database() AS name, current_user AS role, getdatabaseencoding() AS encoding,
           datcollate AS locale, current_setting('data_checksums') AS checksums, current_setting('fsync') AS fsync,
           current_setting('synchronous_commit') AS "synchronousCommit", current_setting('server_version') AS version
         FROM pg_database WHERE datname = current_database()`,
      )
      assert.deepEqual(
        { ...row, version: String(row?.['version']).split(' ')[0] },
        {
          name: 'ramet',
          role: 'ramet',
          encoding: 'UTF8',
          locale: 'C.UTF-8',
          checksums: 'on',
          fsync: 'on',
          synchronousCommit: 'on',
          version: postgres.version,
        },
      )
      assert.ok(postgres.majorVersion >= oldestMajor)
    })

    test('nothing listens on TCP', async () => {
      assert.deepEqual(await query(postgres, 'SHOW listen_addresses'), [{ listen_addresses: '' }])
    })

    test('values from a failing statement do not reach the log', async () => {
      await query(postgres, "CREATE TABLE key (secret text PRIMARY KEY); INSERT INTO key VALUES ('hunter2')")
      await assert.rejects(query(postgres, "INSERT INTO key VALUES ('hunter2')"), /duplicate key/)
      await until(async () => log.some(line => line.includes('duplicate key')), 'the failure is in the log')
      assert.deepEqual(
        log.filter(line => line.includes('hunter2')),
        [],
      )
    })

    test('a restart keeps the rows, and the version that made the cluster needs no naming', async () => {
      await query(postgres, 'CREATE TABLE kept AS SELECT 42 AS n')
      await postgres.stop()
      assert.equal(await postmasterPid(scratch.directory), null)
      const { majorVersion } = postgres
      postgres = await start(scratch.directory)
      assert.equal(postgres.majorVersion, majorVersion)
      assert.deepEqual(await query(postgres, 'SELECT n FROM kept'), [{ n: 42 }])
    })

    test('a PostgreSQL that dies by itself is reported, and can be started again', async () => {
      const pid = (await postmasterPid(scratch.directory)) ?? assert.fail('PostgreSQL should be running')
      process.kill(pid, 'SIGKILL')
      await postgres.exited
      await until(async () => !(await isAlive(pid)), 'it is gone')
      await postgres.stop() // nothing left to do, and no error
      postgres = await again()
      assert.deepEqual(await query(postgres, 'SELECT n FROM kept'), [{ n: 42 }])
    })

    test('a stop that was asked for is not reported as a death', async () => {
      await Promise.all([postgres.stop(), postgres.stop()])
      assert.equal(await Promise.race([postgres.exited.then(() => 'died'), Promise.resolve('stopped')]), 'stopped')
      postgres = await again()
    })
  })
}

describe('a start that cannot be', () => {
  let directory: string
  let remove: () => Promise<void>
  before(async () => ({ directory, remove } = await scratchDirectory()))
  after(() => remove())

  test('a cluster of a version that is not installed says which to install', async () => {
    const old = join(directory, 'old')
    await mkdir(join(old, 'postgres-9'), { recursive: true })
    await assert.rejects(
      start(old),
      /made by PostgreSQL 9.*Install the package postgresql-9, or move .*postgres-9 away/,
    )
  })

  test('two clusters in one data directory are not chosen between', async () => {
    const two = join(directory, 'two')
    await mkdir(join(two, 'postgres-15'), { recursive: true })
    await mkdir(join(two, 'postgres-18'))
    await assert.rejects(start(two), /holds postgres-15 and postgres-18; keep the one/)
  })

  test('a path too long for a unix socket is refused with the number of bytes', async () => {
    await assert.rejects(start(join(directory, 'x'.repeat(80))), /[0-9]+ bytes longer than Linux allows/)
  })

  test('a parent that PostgreSQL may not pass is named, with the way out', {
    skip: !isRoot && 'not root',
  }, async () => {
    const locked = join(directory, 'locked')
    await chmod(directory, 0o711)
    await mkdir(locked, { mode: 0o700 })
    await assert.rejects(start(join(locked, 'data')), new RegExp(`may not pass ${locked}\\. .*chmod o\\+x ${locked}$`))
  })
})
