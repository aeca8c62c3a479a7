// What gets out of a network, how fast, and what it does not reach, without guests and in namespaces of the test alone. The host is a
// namespace, with an address of its own; somebody outside is another; a machine is a third, whose link to the bridge has the name of a tap.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { newId } from '@ramet/core/ids.ts'
import { eventually } from '../../../testing/eventually.ts'
import { aNetwork } from '../../contract-networks.ts'
import type { NetworkNicSpec } from '../../driver.ts'
import { aMember, refusal, type SomeNetworks, someNetworks } from './a-network.ts'
import { networkFolder, tapNames } from './folder.ts'
import { isOrdinary } from './keeper.ts'

const run = promisify(execFile)
const skip = refusal ?? (isOrdinary ? 'only root makes ways out' : false)
const outside = '192.0.2.7'
const hostOutside = '192.0.2.1'
const hostAlone = '198.51.100.1'

describe('a way out of a network', { skip }, () => {
  const mark = newId().slice(0, 8)
  const [host, stranger] = [`ramet-test-${mark}-host`, `ramet-test-${mark}-out`]
  const spaces: string[] = []
  const taps: [network: string, tap: string][] = []
  let made: SomeNetworks

  before(async () => {
    await space(host)
    await space(stranger)
    await ip(host, 'link', 'add', 'world', 'type', 'veth', 'peer', 'name', 'world', 'netns', stranger)
    await ip(host, 'addr', 'add', `${hostOutside}/24`, 'dev', 'world')
    await ip(host, 'addr', 'add', `${hostAlone}/32`, 'dev', 'lo')
    await ip(stranger, 'addr', 'add', `${outside}/24`, 'dev', 'world')
    for (const each of [host, stranger]) await ip(each, 'link', 'set', 'world', 'up')
    made = await someNetworks(`/run/netns/${host}`)
    serve(host)
    serve(stranger)
  })
  after(async () => {
    await unplug()
    await made.dispose()
    for (const each of spaces) await run('ip', ['netns', 'delete', each])
  })

  async function space(name: string): Promise<void> {
    await run('ip', ['netns', 'add', name])
    spaces.push(name)
    await ip(name, 'link', 'set', 'lo', 'up')
  }
  const ip = (name: string, ...words: string[]) => run('ip', ['-n', name, ...words])

  /** Tells whoever comes who he is to it, and reads what he sends. */
  const serve = (name: string) =>
    made.run('ip', ['netns', 'exec', name, process.execPath, '-e', server.replaceAll('\n', ' ')])

  /** A machine in the network, as far as others can tell. */
  async function machine(nic: NetworkNicSpec): Promise<string> {
    await made.networks.admit(newId<'vm'>(), [nic], `m${nic.id.slice(0, 6)}`)
    const name = `ramet-test-${mark}-${nic.id.slice(0, 6)}`
    await space(name)
    const inside = networkFolder(made.directory, nic.network.id).namespace
    const [tap] = tapNames(nic.id)
    await ip(inside, 'link', 'add', tap, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
    await ip(inside, 'link', 'set', tap, 'master', 'br0', 'up')
    taps.push([inside, tap])
    await ip(name, 'link', 'set', 'eth0', 'address', nic.mac, 'up')
    await ip(name, 'addr', 'add', `${nic.address}/24`, 'dev', 'eth0')
    await ip(name, 'route', 'add', 'default', 'via', nic.network.gateway)
    return name
  }

  /** All machines end, and with them their taps. */
  async function unplug(): Promise<void> {
    for (const [inside, tap] of taps.splice(0)) await ip(inside, 'link', 'del', tap)
  }

  /** As whom the machine is seen at the address; null where it reaches nobody. */
  async function reach(from: string, address: string): Promise<string | null> {
    const { stdout } = await run('ip', ['netns', 'exec', from, process.execPath, '-e', client, address])
    return stdout.trim() || null
  }

  const getsOut = (from: string) =>
    eventually('somebody outside answers', async () => (await reach(from, outside)) === hostOutside)

  const lan = (outward?: 'past-host' | 'host-too') => aNetwork(outward ? { outward } : {})
  /** Whether the host forwards; its file is seen from within alone. */
  const forwards = (value: 0 | 1) =>
    run('ip', ['netns', 'exec', host, 'sh', '-c', `echo ${value} > /proc/sys/net/ipv4/ip_forward`])

  test('is refused where the host does not forward, with what would let it', async () => {
    await forwards(0)
    await assert.rejects(made.networks.calls.ensure(lan('past-host')), {
      kind: 'unsupported',
      code: 'no-way-out',
      message: /does not forward.*sysctl net\.ipv4\.ip_forward=1/,
    })
    await forwards(1)
  })

  test('is there where the network says so: past the host, not into it, and not into another network', async () => {
    const [closed, open, open2, wide] = [lan(), lan('past-host'), lan('past-host'), lan('host-too')]
    const [alone, one, other, trusted] = await Promise.all(
      [closed, open, open2, wide].map(network => machine(aMember(network, '10.1.1.5'))),
    )
    await getsOut(trusted!)
    for (const each of [one!, other!]) await getsOut(each)
    assert.equal(await reach(alone!, outside), null)
    const transit = await addressesOf(host)
    assert.equal(transit.length, 3)
    const hosts = [hostOutside, hostAlone, ...transit]
    assert.deepEqual(
      await Promise.all(hosts.map(address => reach(one!, address))),
      hosts.map(() => null),
    )
    assert.equal(await reach(alone!, hostAlone), null)
    await eventually('the host answers', async () => (await reach(trusted!, hostAlone))?.startsWith('100.'))
    const inner = await Promise.all(
      [open, open2].map(({ id }) => addressesOf(networkFolder(made.directory, id).namespace)),
    )
    const reached = await Promise.all(inner.flat().map(address => reach(trusted!, address)))
    assert.deepEqual(reached, [null, null])
  })

  test('comes back when it was taken away, and the host’s rules with it', async () => {
    const network = lan('past-host')
    const one = await machine(aMember(network, '10.1.1.5'))
    await getsOut(one)
    await ip(networkFolder(made.directory, network.id).namespace, 'link', 'del', 'up0')
    await run('ip', ['netns', 'exec', host, 'nft', 'flush', 'ruleset'])
    await made.networks.keep()
    await getsOut(one)
    assert.equal(await reach(one, hostAlone), null)
  })

  test('goes with its network, and the host’s rules with the last', async () => {
    await unplug()
    for (const { id } of await made.networks.calls.list()) await made.networks.calls.remove(id)
    const { stdout } = await run('ip', ['netns', 'exec', host, 'nft', 'list', 'ruleset'])
    assert.equal(stdout, '')
    const links = await ip(host, '-oneline', 'link', 'show')
    assert.deepEqual(
      [...links.stdout.matchAll(/^\d+: (\w+)/gm)].map(([, name]) => name),
      ['lo', 'world'],
    )
  })

  test('is as wide as the card may send, and another card is not braked', async () => {
    const network = lan('past-host')
    const [braked, free] = [{ ...aMember(network, '10.1.1.5'), mbps: 16 }, aMember(network, '10.1.1.6')]
    const [slow, fast] = [await machine(braked), await machine(free)]
    const megabyte = 2 ** 20
    // What may come at once does not count; the rest takes at least its time, however slow this machine is.
    const least = (1000 * (4 * megabyte - 4 * 65_536)) / (16 * 125_000) - 1000
    const taken = await sending(slow, 4 * megabyte)
    assert.ok(taken >= least, `it took ${taken} ms`)
    assert.ok((await sending(fast, 2 * megabyte)) > 0)
    await made.networks.admit(newId<'vm'>(), [{ ...braked, mbps: 800 }], 'm')
    assert.ok((await sending(slow, 2 * megabyte)) > 0)
  })

  /** Milliseconds that the bytes take until the other side has them all. */
  async function sending(from: string, bytes: number): Promise<number> {
    const { stdout } = await run('ip', ['netns', 'exec', from, process.execPath, '-e', client, outside, String(bytes)])
    return Number(stdout.trim())
  }

  async function addressesOf(name: string): Promise<string[]> {
    const { stdout } = await ip(name, '-4', '-oneline', 'addr', 'show')
    return [...stdout.matchAll(/inet (100\.[\d.]+)/g)].map(([, address = '']) => address)
  }
})

const server = `
require('node:net').createServer({ allowHalfOpen: true }, socket => {
  let count = 0;
  socket.on('error', () => {});
  socket.on('data', data => { count += data.length });
  socket.on('end', () => socket.end(socket.remoteAddress.replace('::ffff:', '') + ' ' + count));
}).listen(7777, '0.0.0.0')`

const client = `
const [address, bytes] = process.argv.slice(1)
const begin = performance.now()
const socket = require('node:net').connect(7777, address)
const limit = bytes ? null : setTimeout(() => process.exit(), 700)
socket.on('error', () => process.exit())
socket.on('connect', () => { clearTimeout(limit); socket.end(Buffer.alloc(Number(bytes ?? 0))) })
socket.on('data', data => {
  const [seen, count] = String(data).split(' ')
  console.log(bytes ? (count === bytes ? performance.now() - begin : -1) : seen)
})`
