// A guest that answers: the demo template boots from our own disk and seed, and shuts down when asked.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Driver, MachineSpec, PowerChange } from '../../driver.ts'
import { aQemuDriver } from '../a-driver.ts'
import type { QemuUnderTest } from '../a-driver.ts'
import { answers, aTinyMachine, inGuest, tiny, untilAnswers } from './a-tiny.ts'

const never = new AbortController().signal

describe('a guest that answers', { skip: tiny ? false : 'tiny cannot be built here' }, () => {
  let made: QemuUnderTest
  let driver: Driver
  let spec: MachineSpec
  let key: string

  before(async () => {
    made = await aQemuDriver()
    driver = made.driver
    ;({ spec, key } = await aTinyMachine(made))
  })
  after(() => made.dispose())

  test('it reads its seed and answers on the forwarded SSH port as its new self', { timeout: 90_000 }, async () => {
    const { sshPorts } = await driver.machines.start(spec)
    const port = sshPorts[spec.nics[0]!.id]!
    await untilAnswers(port)
    assert.equal((await inGuest(key, port, 'hostname')).trim(), 'grown')
  })

  test("it does not reach the host's own services", { timeout: 30_000 }, async () => {
    const visits: Socket[] = []
    const service = createServer(socket => void visits.push(socket.destroy())).listen(0, '127.0.0.1')
    await once(service, 'listening')
    const address = service.address()
    assert.ok(address && typeof address === 'object')
    const { sshPorts } = await driver.machines.facts(spec.vm)
    const tried = `busybox nc -w 3 10.0.2.2 ${address.port} < /dev/null 2>&1; echo nc ended with $?; busybox ip -4 addr; echo end`
    const said = await inGuest(key, sshPorts[spec.nics[0]!.id]!, tried)
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
    await inGuest(key, port, 'reboot')
    while (await answers(port)) await sleep(50)
    await untilAnswers(port)
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
    await untilAnswers(port)
    const seen = new Promise<PowerChange>(resolve => driver.onPowerChange(resolve))
    await inGuest(key, port, 'poweroff')
    assert.deepEqual(await seen, { vm: spec.vm, power: 'off', reason: 'the guest shut down' })
  })
})
