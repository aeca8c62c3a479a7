// What a crash costs: nothing that was acknowledged, and no hand work before the next start.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { accountOfCluster, as } from './account.ts'
import { chooseInstallation, installations } from './installation.ts'
import { postgresArguments } from './postmaster.ts'
import {
  childrenOf,
  isAlive,
  kinds,
  postmasterPid,
  query,
  runServer,
  scratchDirectory,
  start,
  until,
} from './testing/lab.ts'

for (const { kind, skip } of kinds) {
  describe(`a crash, with PostgreSQL of kind "${kind}"`, { skip }, () => {
    let directory: string
    let remove: () => Promise<void>
    before(async () => ({ directory, remove } = await scratchDirectory()))
    after(() => remove())

    test('a first start that is cut short is cleared away by the next', async () => {
      const server = runServer(directory, kind)
      const drafts = async () => (await readdir(directory)).filter(name => name.includes('.unfinished-'))
      await until(async () => {
        const [draft] = await drafts()
        return draft !== undefined && (await readdir(join(directory, draft))).includes('PG_VERSION')
      }, 'initdb is at work')
      await server.kill()
      assert.equal((await drafts()).length, 1)
      const postgres = await start(directory, kind)
      assert.deepEqual(await drafts(), [])
      await postgres.stop()
    })

    test('PostgreSQL ends when the server is killed, and the next start has every row it acknowledged', async () => {
      const server = runServer(directory, kind, 'write')
      await server.says(line => line === 'ack 100')
      const pid = (await postmasterPid(directory)) ?? assert.fail('PostgreSQL should be running')
      await server.kill()
      await until(async () => !(await isAlive(pid)), 'PostgreSQL has followed its server')
      await assertNothingLost(server.lines)
    })

    test('killing the server and every PostgreSQL process at random moments loses no acknowledged row', async t => {
      for (let round = 1; round <= 5; round++) {
        const server = runServer(directory, kind, 'write')
        const acks = 1 + Math.floor(Math.random() * 300)
        t.diagnostic(`round ${round}: killed after ${acks} commits`)
        await until(async () => server.lines.length > acks, `${acks} commits are acknowledged`)
        const postmaster = (await postmasterPid(directory)) ?? assert.fail('PostgreSQL should be running')
        const everyone = [postmaster, ...(await childrenOf(postmaster))]
        for (const pid of everyone) process.kill(pid, 'SIGKILL')
        await server.kill()
        await assertNothingLost(server.lines)
      }
    })

    test('a process that was given the number of a dead PostgreSQL is neither believed in nor harmed', async () => {
      const cluster = await clusterPath()
      const account = await accountOfCluster(cluster)
      const sleep = as(account, 'KILL', 'sleep', ['infinity'])
      const stranger = spawn(sleep.program, sleep.arguments)
      const lockFile = join(cluster, 'postmaster.pid')
      await writeFile(lockFile, `${stranger.pid}\n${cluster}\n1\n5432\n\n\n`)
      await chown(lockFile, account.uid, account.gid)
      const postgres = await start(directory, kind)
      await postgres.stop()
      assert.equal(stranger.exitCode ?? stranger.signalCode, null)
      stranger.kill()
    })

    test('a PostgreSQL left running by an earlier server is stopped first', async () => {
      const orphan = await runOrphan()
      const ended = once(orphan, 'exit')
      const postgres = await start(directory, kind)
      assert.deepEqual(await ended, [0, null]) // shut down in order, not killed
      await postgres.stop()
    })

    async function assertNothingLost(lines: readonly string[]): Promise<void> {
      const acknowledged = lines.filter(line => line.startsWith('ack ')).map(line => Number(line.slice(4)))
      const postgres = await start(directory, kind)
      const [found] = await query<{ last: number; count: number; tally: number }>(
        postgres,
        'SELECT max(n) AS last, count(*)::int AS count, (SELECT rows FROM tally) AS tally FROM row',
      )
      await postgres.stop()
      const { last, count, tally } = found ?? assert.fail('the table should be there')
      assert.ok(last >= (acknowledged.at(-1) ?? 0), `row ${acknowledged.at(-1)} was acknowledged, ${last} is the last`)
      assert.deepEqual({ count, tally }, { count: last, tally: last })
    }

    async function clusterPath(): Promise<string> {
      return join(directory, (await readdir(directory)).find(name => /^postgres-\d+$/.test(name)) ?? 'none')
    }

    /** As a server would leave it that died before the death signal was set. */
    async function runOrphan() {
      const cluster = await clusterPath()
      const major = Number(cluster.split('-').at(-1))
      const { bin } = chooseInstallation(await installations(), kind, { directory, major })
      const account = await accountOfCluster(cluster)
      const socketDirectory = join(directory, 'postgres-socket')
      assert.equal((await stat(socketDirectory)).uid, account.uid)
      const args = postgresArguments({ cluster, socketDirectory })
      const command = as(account, 'INT', join(bin, 'postgres'), args)
      const orphan = spawn(command.program, command.arguments, { cwd: '/', stdio: 'ignore' })
      await until(async () => (await postmasterPid(directory)) === orphan.pid, 'the orphan runs')
      return orphan
    }
  })
}
