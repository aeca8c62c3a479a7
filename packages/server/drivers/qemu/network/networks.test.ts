// Guest networks without guests: who holds a tap, what a forward carries, and what comes back after it was taken away.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { type NetworkId, newId } from '@ramet/core/ids.ts'
import { eventually } from '../../../testing/eventually.ts'
import { aFreePort, aNetwork } from '../../contract-networks.ts'
import type { NetworkNicSpec } from '../../driver.ts'
import { findPrograms, killAndWait } from '../process/process.ts'
import { aFrameMachine, asksForAddress, offerOf } from './a-machine.ts'
import { type SomeNetworks, aMember, refusal, someNetworks, somebody } from './a-network.ts'
import { optionOf } from './frames.ts'
import { networkFolder, tapIndexes, tapNames } from './folder.ts'
import { isMemberOf, isOrdinary, processOf } from './keeper.ts'
import { parseSubnet } from './subnet.ts'
import { makeSegment, removeSegment, tapsSeenBy } from './segment.ts'
import { servingProcess } from './dnsmasq.ts'

test('a subnet is read with its mask, and knows the addresses of machines', () => {
  const subnet = parseSubnet('10.1.4.0/22')
  assert.deepEqual([subnet?.network, subnet?.netmask, subnet?.prefix], ['10.1.4.0', '255.255.252.0', 22])
  const inside = ['10.1.4.1', '10.1.7.254', '10.1.4.0', '10.1.7.255', '10.1.8.1', '10.1.4', '10.1.4.256', '']
  assert.deepEqual(
    inside.map(each => subnet?.contains(each)),
    [true, true, ...Array<boolean>(6).fill(false)],
  )
  for (const wrong of ['10.1.1.5/24', '10.1.1.0/31', '10.0.0.0/7', '10.1.1.0', '', '10.1.1.0/24; drop'])
    assert.equal(parseSubnet(wrong), null, wrong)
})

describe('guest networks', { skip: refusal ?? false }, () => {
  let made: SomeNetworks
  before(async () => {
    made = await someNetworks()
  })
  after(() => made.dispose())

  const admit = (nic: NetworkNicSpec) => made.networks.admit(newId<'vm'>(), [nic], 'web-1')
  const dnsmasqs = () => findPrograms(args => args[0] === 'dnsmasq' && args.join(' ').includes(made.directory))
  const troubleOf = async (id: NetworkId) => (await made.networks.calls.list()).find(each => each.id === id)?.trouble
  const taps = async ({ network }: NetworkNicSpec) =>
    tapsSeenBy((await servingProcess(networkFolder(made.directory, network.id)))?.pid ?? 0)

  test('a tap is held by a process without rights and ends with it; a second process gets the other, and a third none', async () => {
    const nic = aMember(aNetwork(), '10.1.1.5')
    await admit(nic)
    const [own, others] = tapNames(nic.id)
    const first = made.hold(nic)
    await eventually('the first tap', async () => isDeepStrictEqual(await taps(nic), [own]))
    await eventually('the program', () => isSleep(first))
    assert.deepEqual(await numbersIn(nic), [tapIndexes(nic.address)[0]], 'by which the guard knows it')
    const status = await readFile(`/proc/${first.pid}/status`, 'utf8')
    assert.match(status, new RegExp(`Uid:(\\s+${somebody.uid}){4}\\n`))
    assert.match(status, new RegExp(`Gid:(\\s+${somebody.gid}){4}\\n`))
    if (!isOrdinary) assert.match(status, new RegExp(`Groups:\\s+${somebody.gid} *\\n`))
    assert.match(status, /CapPrm:\s+0+\n/)
    made.hold(nic)
    await eventually('the second tap', async () => isDeepStrictEqual(await taps(nic), [own, others]))
    const third = made.hold(nic)
    assert.match(String((await once(third.stderr, 'data'))[0]), /both taps of a network card are held/)
    await assert.rejects(made.networks.calls.remove(nic.network.id), { code: 'network-in-use' })
    first.kill('SIGKILL')
    await eventually('the first tap to end', async () => isDeepStrictEqual(await taps(nic), [others]))
  })

  /** Of all links that are joined to the bridge. */
  async function numbersIn({ network }: NetworkNicSpec): Promise<number[]> {
    const script = `
      const links = require('node:child_process').execFileSync('ip', ['-oneline', 'link', 'show', 'master', 'br0'], { encoding: 'utf8' });
      console.log(JSON.stringify([...links.matchAll(/^(\\d+):/gm)].map(([, number]) => Number(number))))`
    const [numbers] = (await once(made.inside(network, script).stdout, 'data')) as [Buffer]
    return JSON.parse(String(numbers)) as number[]
  }

  test('the default card of a machine is told a router and name servers, and others neither', async () => {
    const network = aNetwork()
    const machine = await aFrameMachine(made, { ...aMember(network, '10.1.1.5'), isDefault: false })
    const told = async () => {
      const earlier = machine.heard.length
      const offer = await eventually('an offer', async () => {
        machine.send(asksForAddress(machine)) // again, as clients do
        return machine.heard.slice(earlier).find(frame => frame.includes(offerOf(machine))) ?? null
      })
      return [3, 6].filter(option => offer.includes(optionOf(option, network.gateway).toString('hex')))
    }
    assert.deepEqual(await told(), [])
    for (const [isDefault, options] of [[true, [3, 6]] as const, [false, []] as const]) {
      await made.networks.calls.setDefault(network.id, machine.nic, isDefault)
      await eventually('it to be told so', async () => isDeepStrictEqual(await told(), options))
    }
  })

  test('a forward carries much at once, both ways, to its end, and lives on without the forwarder', async t => {
    const network = aNetwork()
    await made.networks.calls.ensure(network)
    const echo = `require('node:net').createServer({ allowHalfOpen: true }, s => s.pipe(s)).listen(7, () => console.log('up'))`
    await once(made.inside(network, echo).stdout, 'data')
    const port = await aFreePort()
    const from = performance.now()
    const to = { address: network.gateway, port: 7 }
    await made.networks.calls.forward({ address: '127.0.0.1', port, network: network.id, to, ssh: null })
    t.diagnostic(`forward active after ${Math.round(performance.now() - from)} ms, with the start of the forwarder`)

    const held = connect(port, '127.0.0.1')
    assert.equal(await said(held, 'before'), 'before')
    const bytes = 64 * 2 ** 20
    const start = performance.now()
    const counts = await Promise.all([1, 2].map(() => echoed(connect({ port, allowHalfOpen: true }), bytes)))
    assert.deepEqual(counts, [bytes, bytes])
    t.diagnostic(
      `${Math.round((4 * bytes) / 2 ** 20 / ((performance.now() - start) / 1000))} MiB/s through the forwarder`,
    )

    const [forwarder] = await findPrograms(args => args.includes(`for=${made.directory}`))
    assert.ok(forwarder && (await killAndWait(forwarder, 5000)))
    assert.equal(await said(held, 'without'), 'without')
    await made.networks.keep()
    await eventually('the forwarder', () => said(connect(port, '127.0.0.1'), 'again').catch(() => null))
    assert.equal(await said(held, 'still'), 'still')
    held.destroy()
    await made.networks.calls.unforward('127.0.0.1', port)
    await assert.rejects(once(connect(port, '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' })
  })

  test('a port that another program has is refused, and nothing is kept of the forward', async t => {
    const network = aNetwork()
    await made.networks.calls.ensure(network)
    const echo = `const s = require('node:net').createServer().listen(0, '127.0.0.1', () => console.log(s.address().port))`
    const other = spawn(process.execPath, ['-e', echo])
    t.after(() => other.kill())
    const port = Number((await once(other.stdout, 'data'))[0])
    const forward = { address: '127.0.0.1', port, network: network.id, to: { address: '10.1.1.5', port: 1 }, ssh: null }
    await assert.rejects(made.networks.calls.forward(forward), { kind: 'in-use', code: 'port-in-use' })
    await assert.rejects(made.networks.calls.forward({ ...forward, address: '192.0.2.1' }), { code: 'bad-port' })
    assert.deepEqual(
      (await made.networks.calls.forwards()).filter(each => each.port === port),
      [],
    )
    assert.deepEqual(await findPrograms(args => args.includes(`for=${made.directory}`)), [])
  })

  test('another server finds networks as they are, and mends what was ended meanwhile', async () => {
    const nic = aMember(aNetwork(), '10.1.1.5')
    await admit(nic)
    const folder = networkFolder(made.directory, nic.network.id)
    const serving = await servingProcess(folder)
    assert.ok(serving && (await killAndWait(serving, 5000)))
    const later = made.again()
    assert.match((await later.calls.list()).find(({ id }) => id === folder.id)?.trouble ?? '', /dnsmasq/)
    await later.keep()
    assert.equal((await later.calls.list()).find(({ id }) => id === folder.id)?.trouble, null)
    assert.notEqual((await servingProcess(folder))?.pid, serving.pid)
  })

  test('a network of which nothing is left but a machine is found again by the machine’s tap', async () => {
    const [nic, other] = [aMember(aNetwork(), '10.1.1.5'), aMember(aNetwork(), '10.1.1.5')]
    for (const each of [nic, other]) await admit(each)
    const own = [tapNames(nic.id)[0]]
    const holder = made.hold(nic, other) // the process itself is in the network of its last card
    await eventually('the program', () => isSleep(holder))
    assert.deepEqual(await taps(nic), own)
    const folder = networkFolder(made.directory, nic.network.id)
    const lose = async () => {
      await removeSegment(folder)
      const serving = await servingProcess(folder)
      assert.ok(serving && (await killAndWait(serving, 5000)))
    }
    await lose()
    await assert.rejects(made.networks.calls.remove(folder.id), { code: 'network-in-use' })
    assert.match((await troubleOf(folder.id)) ?? '', /lost its namespace/)
    await made.networks.keep()
    assert.deepEqual([await troubleOf(folder.id), await taps(nic)], [null, own])

    await lose()
    await makeSegment(folder) // somebody gave the name to a namespace of his
    await made.networks.keep()
    assert.deepEqual([await troubleOf(folder.id), await taps(nic)], [null, own])
    const serving = await servingProcess(folder)
    await removeSegment(folder)
    await makeSegment(folder)
    assert.match((await troubleOf(folder.id)) ?? '', /leads to another namespace/)
    await made.networks.keep()
    assert.deepEqual([await troubleOf(folder.id), await taps(nic)], [null, own])
    assert.deepEqual(await servingProcess(folder), serving)
  })

  test('networks of an ordinary user outlive their keeper', { skip: !isOrdinary && 'root’s need none' }, async () => {
    const nic = aMember(aNetwork(), '10.1.1.5')
    await admit(nic)
    const folder = networkFolder(made.directory, nic.network.id)
    const serving = await servingProcess(folder)
    const first = await processOf(made.directory)
    assert.ok(first && (await killAndWait(first, 5000)))
    await made.again().keep()
    const second = await processOf(made.directory)
    assert.ok(second && second.pid !== first.pid)
    assert.deepEqual([await troubleOf(folder.id), await servingProcess(folder)], [null, serving])

    made.hold(nic)
    await eventually('the tap', async () => (await taps(nic)).length === 1)
    for (const each of [second, ...(await dnsmasqs())]) assert.ok(await killAndWait(each, 5000))
    await made.networks.keep()
    assert.deepEqual([await troubleOf(folder.id), (await taps(nic)).length], [null, 1])

    const everybody = await findPrograms(args => args.join(' ').includes(made.directory) || args[0] === 'sleep')
    for (const each of everybody)
      if (await isMemberOf(made.directory, each.pid)) assert.ok(await killAndWait(each, 5000))
    await made.networks.keep()
    assert.deepEqual([await troubleOf(folder.id), (await taps(nic)).length], [null, 0])
  })

  test('what is no network, and addresses outside of it, are refused', async () => {
    const bad = { kind: 'invalid', code: 'bad-network' }
    await assert.rejects(made.networks.calls.ensure(aNetwork({ cidr: '10.1.1.5/24' })), bad)
    await assert.rejects(made.networks.calls.ensure(aNetwork({ gateway: '10.2.1.1' })), bad)
    const outside = aMember(aNetwork(), '10.1.2.5')
    await assert.rejects(admit(outside), { kind: 'invalid', code: 'address-outside' })
    assert.ok(!(await made.networks.calls.list()).some(({ id }) => id === outside.network.id))
  })
})

async function isSleep({ pid }: ChildProcess): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).startsWith('sleep')
}

async function said(socket: Socket, text: string): Promise<string> {
  const answer = once(socket, 'data', { signal: AbortSignal.timeout(30_000) })
  socket.write(text)
  return String((await answer)[0])
}

/** Sends so many bytes, ends, and counts what comes back until the other side ends too. */
async function echoed(socket: Socket, bytes: number): Promise<number> {
  let count = 0
  socket.on('data', chunk => (count += chunk.length))
  const ended = once(socket, 'end')
  socket.end(Buffer.alloc(bytes, 'x'))
  await ended
  return count
}
