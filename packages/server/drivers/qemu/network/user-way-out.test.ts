// What gets out of an ordinary user's network, and what it does not reach. Run by ordinary.test.ts, on a host of its own with somebody outside.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { eventually } from '../../../testing/eventually.ts'
import { aNetwork } from '../../contract-networks.ts'
import type { NetworkSpec } from '../../networks.ts'
import { findPrograms, killAndWait } from '../process/process.ts'
import { type FrameMachine, aFrameMachine } from './a-machine.ts'
import { type SomeNetworks, aMember, someNetworks } from './a-network.ts'
import { hostAlone, hostOutside, outsider } from './an-ordinary-user.ts'
import { networkFolder } from './folder.ts'
import { arp, tcpSyn } from './frames.ts'
import { isOrdinary } from './keeper.ts'
import { gatewayMac } from './segment.ts'
import { carrier } from './user-way-out.ts'

const isApart =
  isOrdinary &&
  Object.values(networkInterfaces())
    .flat()
    .some(each => each?.address === hostOutside)

describe('a way out of an ordinary user’s network', { skip: !isApart && 'ordinary.test.ts runs it' }, () => {
  let made: SomeNetworks
  let port = 0
  let reached = 0
  before(async () => {
    made = await someNetworks()
    const service = createServer(() => (reached += 1))
      .listen(0, '0.0.0.0')
      .unref()
    await once(service, 'listening')
    port = (service.address() as { port: number }).port
  })
  after(() => made.dispose())

  const machine = (network: NetworkSpec) => aFrameMachine(made, aMember(network, '10.1.1.5'))
  /** And says where it is, which the gateway forgets. */
  const asks = (one: FrameMachine, address: string, at: number) =>
    one.send(arp('ask', one.mac, one, '10.1.1.1'), tcpSyn(one, { mac: gatewayMac, address }, at))

  /** Somebody outside agrees to a connection, which he may be asked for again. */
  const getsOut = (one: FrameMachine) => {
    const from = Buffer.from([...outsider.split('.').map(Number), 10, 1, 1, 5]).toString('hex')
    const earlier = one.heard.length
    return eventually('an answer from outside', async () => {
      asks(one, outsider, 7777)
      return one.heard.slice(earlier).find(frame => frame.includes(from)) ?? null
    })
  }
  const carriers = () => findPrograms(args => args[0] === carrier && args.some(arg => arg.includes(made.directory)))

  test('leads past the host and not into it, unless it is to; and only where the network says so', async () => {
    const [closed, past, too] = [aNetwork(), aNetwork({ outward: 'past-host' }), aNetwork({ outward: 'host-too' })]
    const [alone, one, trusted] = [await machine(closed), await machine(past), await machine(too)]
    const hosts = [hostOutside, hostAlone, '127.0.0.1', '100.64.0.2', '100.64.0.100', past.gateway]
    for (const address of hosts) asks(one, address, port)
    await getsOut(one)
    for (const address of ['127.0.0.1', '100.64.0.2', '100.64.0.100']) asks(trusted, address, port)
    await getsOut(trusted)
    for (const address of [outsider, hostAlone]) asks(alone, address, address === outsider ? 7777 : port)
    assert.equal(reached, 0)
    asks(trusted, hostAlone, port)
    await eventually('the host to be reached', async () => reached > 0)
    const answers = alone.heard.filter(frame => frame.slice(24, 28) === '0800')
    assert.deepEqual(answers, [])
  })

  test('comes back when its process was killed, outlives the server, and learns the host’s addresses', async () => {
    const network = aNetwork({ outward: 'past-host' })
    const one = await machine(network)
    const earlier = await carriers()
    for (const each of earlier) await killAndWait(each, 5000)
    const known = join(networkFolder(made.directory, network.id).path, 'host.json')
    const ranges = JSON.parse(await readFile(known, 'utf8')) as string[]
    for (const address of [hostOutside, hostAlone]) assert.ok(ranges.includes(`${address}/32`), ranges.join())
    await made.again().keep()
    await getsOut(one)
    const running = await carriers()
    assert.equal(running.length, earlier.length)
    await rm(known)
    await made.again().keep()
    assert.deepEqual(JSON.parse(await readFile(known, 'utf8')), ranges)
    assert.deepEqual(
      (await carriers()).map(({ pid }) => pid),
      running.map(({ pid }) => pid),
    )
  })

  test('ends with its network', async () => {
    await made.dispose()
    assert.deepEqual(await carriers(), [])
  })
})
