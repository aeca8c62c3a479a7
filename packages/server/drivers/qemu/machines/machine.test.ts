// A machine seen through its monitor: a peer that speaks QMP stands for QEMU, a process that waits for its end is watched.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@ramet/core/ids.ts'
import { quietLog } from '../a-driver.ts'
import { asMessage } from '../process/json-socket.ts'
import { machineFolder } from './machine-folder.ts'
import { Machine } from './machine.ts'
import { processAt } from '../process/process.ts'
import { stopMachine } from './stop-machine.ts'

const never = new AbortController().signal
type Answer = (command: string) => object | null

/** A machine of which `answer` decides what its monitor replies; null is silence. */
async function aMachineThat(t: TestContext, answer: Answer) {
  const directory = await mkdtemp(join(tmpdir(), 'ramet-m-'))
  const folder = machineFolder(directory, newId<'vm'>())
  await mkdir(folder.path)
  const child = spawn('sleep', ['60'])
  const heard: string[] = []
  const peer = createServer(socket => {
    socket.on('error', () => {})
    socket.write('{"QMP": {}}\n')
    socket.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n').filter(Boolean)) {
        const { execute, id } = asMessage(JSON.parse(line))
        heard.push(String(execute))
        const reply = execute === 'qmp_capabilities' ? {} : answer(String(execute))
        if (reply) socket.write(`${JSON.stringify({ return: reply, id })}\n`)
      }
    })
  })
  const machine = new Machine({ folder, process: processAt(child.pid ?? 0)!, sshPorts: {} }, quietLog)
  t.after(async () => {
    machine.release()
    child.kill('SIGKILL')
    peer.close()
    await machine.gone
    await rm(directory, { recursive: true })
  })
  return { machine, child, heard, listen: () => void peer.listen(folder.qmp) }
}

test('a machine that was just found is asked to shut down once it is connected', { timeout: 20_000 }, async t => {
  const { machine, child, heard, listen } = await aMachineThat(t, command => {
    if (command === 'system_powerdown') setTimeout(() => child.kill('SIGTERM'), 100)
    return { status: 'running', running: true }
  })
  const stopped = stopMachine(machine, 15_000, never)
  setTimeout(listen, 300)
  await stopped
  assert.ok(heard.includes('system_powerdown') && !heard.includes('quit'), heard.join())
  assert.equal(child.signalCode, 'SIGTERM')
})

test('a monitor that answers late is asked again, and its machine is not cut off', { timeout: 20_000 }, async t => {
  const late = performance.now() + 3000
  const { machine, child, heard, listen } = await aMachineThat(t, command => {
    if (performance.now() < late) return null
    if (command === 'system_powerdown') setTimeout(() => child.kill('SIGTERM'), 100)
    return { status: 'running', running: true }
  })
  listen()
  await stopMachine(machine, 15_000, never)
  assert.ok(heard.includes('system_powerdown') && !heard.includes('quit'), heard.join())
})

test('a machine whose processors stand still is not waited for', { timeout: 20_000 }, async t => {
  const { machine, child, heard, listen } = await aMachineThat(t, command => {
    if (command === 'quit') child.kill('SIGTERM')
    return { status: 'paused', running: false }
  })
  listen()
  const since = performance.now()
  await stopMachine(machine, 15_000, never)
  assert.ok(performance.now() - since < 5000)
  assert.ok(!heard.includes('system_powerdown'), heard.join())
})

test('a machine that a full pool paused under an earlier server is let go on until it does', {
  timeout: 30_000,
}, async t => {
  let status = 'io-error'
  const { heard, listen } = await aMachineThat(t, () => ({ status, running: status === 'running' }))
  const tries = () => heard.filter(command => command === 'cont').length
  listen()
  while (tries() < 2) await sleep(50)
  status = 'running'
  const asked = heard.length
  while (heard.length === asked) await sleep(50)
  await sleep(50)
  assert.equal(tries(), 2)
})

test('a machine that somebody paused stays so', async t => {
  const { heard, listen } = await aMachineThat(t, command =>
    command === 'query-migrate-capabilities' ? [] : { status: 'paused', running: false },
  )
  listen()
  while (!heard.includes('query-migrate-capabilities')) await sleep(10)
  await sleep(100)
  assert.ok(!heard.includes('cont'))
})
