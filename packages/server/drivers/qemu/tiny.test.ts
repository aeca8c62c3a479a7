// A guest that answers: the demo template boots from our own disk and seed, and shuts down when asked.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod } from 'node:fs/promises'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { newId } from '@ramet/core/ids.ts'
import { buildTiny } from '../../../../images/tiny/build.ts'
import { aMachine, anOwner } from '../contract.ts'
import type { Driver, MachineSpec, PowerChange } from '../driver.ts'
import { aQemuDriver } from './a-driver.ts'
import type { QemuUnderTest } from './a-driver.ts'

const run = promisify(execFile)
const never = new AbortController().signal
/** Beside the sources, where the next run finds it. */
const cache = join(import.meta.dirname, '../../../../.cache/tiny')
const tiny = await buildTiny({ directory: cache }).catch(() => null)

describe('a guest that answers', { skip: tiny ? false : 'tiny cannot be built here' }, () => {
  let made: QemuUnderTest
  let driver: Driver
  let spec: MachineSpec
  const file = tiny?.file ?? ''

  before(async () => {
    made = await aQemuDriver()
    driver = made.driver
    await driver.pools.prepare(made.pool)
    const base = { pool: made.pool, id: newId<'layer'>() }
    const root = { pool: made.pool, id: newId<'layer'>() }
    const { virtualBytes } = await driver.images.inspect(file, 'qcow2', 2 ** 40)
    await driver.layers.seed(base, file, 'qcow2', null, () => {}, never)
    await driver.layers.fork(root, [base], virtualBytes * 2, anOwner)
    const key = join(made.folder, 'key')
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    await chmod(key, 0o600)
    spec = aMachine(root, {
      memoryMib: 256,
      disks: [{ deviceId: 0, chain: [base, root] }],
      cdrom: null,
      firstBoot: {
        instanceId: 'i-1',
        hostname: 'grown',
        sshKeys: [(await run('cat', [`${key}.pub`])).stdout.trim()],
        passwordHash: null,
        userData: null,
      },
    })
  })
  after(() => made.dispose())

  test('it reads its seed and answers on the forwarded SSH port as its new self', { timeout: 90_000 }, async () => {
    const { sshPorts } = await driver.machines.start(spec)
    const port = sshPorts[spec.nics[0]!.id]!
    while (!(await answers(port))) await sleep(100)
    assert.equal((await inGuest(port, 'hostname')).trim(), 'grown')
  })

  test("it does not reach the host's own services", { timeout: 30_000 }, async () => {
    const visits: Socket[] = []
    const service = createServer(socket => void visits.push(socket.destroy())).listen(0, '127.0.0.1')
    await once(service, 'listening')
    const address = service.address()
    assert.ok(address && typeof address === 'object')
    const { sshPorts } = await driver.machines.facts(spec.vm)
    const tried = `busybox nc -w 3 10.0.2.2 ${address.port} < /dev/null 2>&1; echo nc ended with $?; busybox ip -4 addr; echo end`
    const said = await inGuest(sshPorts[spec.nics[0]!.id]!, tried)
    assert.match(said, /10\.0\.2\.15[^]*end/, 'it has its address all the same')
    service.close()
    assert.equal(visits.length, 0, said)
  })

  test('its console can be read', async () => {
    assert.match(Buffer.from(await driver.machines.consoleLog(spec.vm, 4096)).toString(), /login:/)
  })

  test('it restarts inside without going off', { timeout: 90_000 }, async () => {
    const seen: PowerChange[] = []
    const stop = driver.onPowerChange(change => seen.push(change))
    const earlier = await driver.machines.facts(spec.vm)
    const port = earlier.sshPorts[spec.nics[0]!.id]!
    await inGuest(port, 'reboot')
    while (await answers(port)) await sleep(50)
    while (!(await answers(port))) await sleep(100)
    stop()
    assert.deepEqual([seen, await driver.machines.facts(spec.vm)], [[], earlier])
  })

  test('it shuts down when asked, long before it would be cut off', { timeout: 90_000 }, async () => {
    await driver.machines.stop(spec.vm, 60_000, never)
    assert.match(Buffer.from(await driver.machines.consoleLog(spec.vm, 4096)).toString(), /Power down|power off/i)
  })

  test('a shutdown from inside is reported as such', { timeout: 90_000 }, async () => {
    const { sshPorts } = await driver.machines.start(spec)
    const port = sshPorts[spec.nics[0]!.id]!
    while (!(await answers(port))) await sleep(100)
    const seen = new Promise<PowerChange>(resolve => driver.onPowerChange(resolve))
    await inGuest(port, 'poweroff')
    assert.deepEqual(await seen, { vm: spec.vm, power: 'off', reason: 'the guest shut down' })
  })

  /** What the command wrote; a connection that breaks is no failure, since a guest that goes off ends it. */
  async function inGuest(port: number, command: string): Promise<string> {
    const options = [
      '-i',
      join(made.folder, 'key'),
      '-o',
      'StrictHostKeyChecking=no',
      '-o',
      'UserKnownHostsFile=/dev/null',
      '-o',
      'LogLevel=ERROR',
    ]
    const said = await run('ssh', [...options, '-p', String(port), 'root@127.0.0.1', command]).catch(() => null)
    return said?.stdout ?? ''
  }
})

/** True when something behind the port says that it is an SSH server; QEMU itself accepts before the guest does. */
function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    const settle = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(2000, () => settle(false))
    socket.once('error', () => settle(false))
    socket.once('close', () => settle(false))
    socket.once('data', bytes => settle(bytes.toString('latin1').startsWith('SSH-')))
  })
}
