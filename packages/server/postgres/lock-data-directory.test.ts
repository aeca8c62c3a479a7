import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { lockDataDirectory } from './lock-data-directory.ts'
import { childrenOf, isAlive, scratchDirectory } from './testing/lab.ts'

let directory: string
let remove: () => Promise<void>
before(async () => ({ directory, remove } = await scratchDirectory()))
after(() => remove())

/** Locks the directory in a process of its own, which then starts a child that outlives it, as a virtual machine does. */
async function lockElsewhere() {
  const script = `
    import { spawn } from 'node:child_process'
    import { lockDataDirectory } from ${JSON.stringify(join(import.meta.dirname, 'lock-data-directory.ts'))}
    await lockDataDirectory(${JSON.stringify(directory)})
    const machine = spawn('sleep', ['infinity'], { detached: true, stdio: 'ignore' })
    console.log(machine.pid)
    setInterval(() => {}, 1e9)`
  const holder = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = await once(holder.stdout, 'data')
  return { holder, machine: Number(String(said)) }
}

test('a second server is told which directory is taken, and by which process', async () => {
  const lock = await lockDataDirectory(directory)
  const expected = `Another Ramet server, process ${process.pid}, is using ${directory};`
  await assert.rejects(lockDataDirectory(directory), (error: Error) => error.message.startsWith(expected))
  await lock.release()
})

test('a released directory can be locked again', async () => {
  for (let round = 0; round < 3; round++) await (await lockDataDirectory(directory)).release()
})

test('kill -9 frees the directory, though a child of the killed server lives on', async () => {
  const { holder, machine } = await lockElsewhere()
  await assert.rejects(lockDataDirectory(directory), new RegExp(`process ${holder.pid}, is using`))
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  const lock = await lockDataDirectory(directory)
  assert.ok(await isAlive(machine))
  await lock.release()
  process.kill(machine)
})

test('a directory whose lock is lost is reported', async () => {
  const lock = await lockDataDirectory(directory)
  for (const helper of await childrenOf(process.pid)) process.kill(helper, 'SIGKILL')
  await lock.lost
  await lock.release()
})
