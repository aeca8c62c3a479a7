// Guest networks with real guests: two networks with the same addresses at once, what a machine may not, and what connections outlive.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@ramet/core/ids.ts'
import { aCard, aFreePort, aNetwork } from '../../contract-networks.ts'
import { anOwner } from '../../contract.ts'
import type { LayerChain, LayerRef, MachineSpec } from '../../driver.ts'
import type { NetworkSpec } from '../../networks.ts'
import { type QemuUnderTest, aQemuDriver, processOf } from '../a-driver.ts'
import { aTinyMachine, answers, inGuest, sshWords, tiny, untilAnswers } from '../guest/a-tiny.ts'
import { findPrograms, killAndWait } from '../process/process.ts'
import { networkFolder, networksDirectory } from './folder.ts'
import { inside } from './keeper.ts'
import { isNamespace, removeSegment } from './segment.ts'

const notAborted = new AbortController().signal
const [red, blue] = [aNetwork(), aNetwork()]
const green = aNetwork({ cidr: '10.2.2.0/24', gateway: '10.2.2.1' })

describe('machines in guest networks', { skip: !tiny && 'tiny cannot be built here' }, () => {
  let made: QemuUnderTest
  const held: ChildProcess[] = []
  let key: string
  const specs = new Map<string, MachineSpec>()
  const ports = new Map<string, number>()
  const at = (name: string, command: string) => inGuest(key, ports.get(name) ?? 0, command)

  before(async () => {
    made = await aQemuDriver()
    const first = await aTinyMachine(made)
    key = first.key
    const members = [
      ['red-1', red, '10.1.1.5'],
      ['red-2', red, '10.1.1.6'],
      ['blue-1', blue, '10.1.1.5'],
    ] as const
    for (const [name, network, address] of members) {
      const root = { pool: made.pool, id: newId<'layer'>() }
      const { virtualBytes } = (await made.driver.layers.facts(first.base))!
      await made.driver.layers.fork(root, [first.base], virtualBytes, anOwner)
      const disks: MachineSpec['disks'] = [{ deviceId: 0, chain: [first.base, root] }]
      const nics = [aCard(network, { address })]
      const firstBoot = { ...first.spec.firstBoot, instanceId: name, hostname: name }
      await start({ ...first.spec, vm: newId<'vm'>(), name, disks, nics, firstBoot })
    }
    for (const port of ports.values()) await untilAnswers(port)
    for (const name of specs.keys())
      await at(name, 'mkdir -p /tmp/www && hostname >/tmp/www/who && httpd -p 80 -h /tmp/www')
  })
  after(async () => {
    for (const child of held) child.kill()
    await made.dispose()
  })

  async function start(spec: MachineSpec): Promise<void> {
    const { sshPorts } = await made.driver.machines.start(spec)
    const nics = spec.nics.map(nic => ({ ...nic, sshPort: sshPorts[nic.id] ?? null }))
    ports.set(spec.name, nics[0]?.sshPort ?? 0)
    specs.set(spec.name, { ...spec, nics })
  }

  test('each machine has its own address, and in each network the address is another machine', async () => {
    for (const [name, spec] of specs) {
      const nic = spec.nics[0]!
      const address = nic.kind === 'network' ? nic.address : ''
      assert.match(await at(name, 'ip -4 addr show dev eth0'), new RegExp(`inet ${address}/24`))
    }
    for (const each of ['10.1.1.5', 'red-1.lab.internal']) assert.equal(await at('red-2', who(each)), 'red-1\n')
    for (const network of [red, blue]) {
      const forward = { address: '127.0.0.1', port: await aFreePort(), network: network.id, ssh: null }
      await made.driver.networks.forward({ ...forward, to: { address: '10.1.1.5', port: 80 } })
      const answer = await fetch(`http://127.0.0.1:${forward.port}/who`)
      assert.equal(await answer.text(), network === red ? 'red-1\n' : 'blue-1\n')
      await made.driver.networks.unforward(forward.address, forward.port)
      await assert.rejects(fetch(`http://127.0.0.1:${forward.port}/who`))
    }
    assert.equal(await at('red-2', 'nslookup blue-1.lab.internal | grep 10.1.1.5'), '')
  })

  test('a machine sends only from its own addresses, and reaches nothing but its network', async () => {
    const ping = 'ping -c 1 -W 1 10.1.1.5 >/dev/null && echo reached'
    assert.equal(await at('red-2', ping), 'reached\n')
    const asAnother =
      'ip addr add 10.1.1.77/24 dev eth0; ping -I 10.1.1.77 -c 1 -W 1 10.1.1.5 >/dev/null && echo reached'
    assert.equal(await at('red-2', `${asAnother}; ip addr del 10.1.1.77/24 dev eth0`), '')
    // Its own connection ends with the first foreign frame, so it changes back by itself.
    const byMac = `ip link set eth0 down; ip link set eth0 address 02:00:00:00:00:99; ip link set eth0 up; ip route add default via 10.1.1.1`
    const back = `ip link set eth0 down; ip link set eth0 address $mac; ip link set eth0 up; ip route add default via 10.1.1.1`
    const tried = `mac=$(cat /sys/class/net/eth0/address); (${byMac}; ${ping} >/tmp/said; ${back}) >/dev/null 2>&1 &`
    await at('red-2', tried)
    await untilTrue('red-2 to be back', async () => (await at('red-2', 'cat /tmp/said; echo back')) === 'back\n')
    for (const port of [22, 80, ports.get('red-1')])
      assert.equal(await at('red-2', `nc -w 1 10.1.1.1 ${port} </dev/null && echo open`), '')
  })

  test('connections outlive the server, the forwarder and dnsmasq, which come back', async () => {
    const outside = await hold('red-1')
    const [forwarder] = await forwarders()
    assert.ok(forwarder && (await killAndWait(forwarder, 5000)))
    const serving = await dnsmasqs()
    for (const each of serving) await killAndWait(each, 5000)
    const next = await made.again()
    await untilTrue('the forwarder and dnsmasq', async () => {
      const back = await dnsmasqs()
      return (await forwarders()).length === 1 && back.length === serving.length
    })
    assert.equal(await echoed(outside, 'still here'), 'still here\n')
    // A process is there a moment before it does its work.
    for (const name of ['blue-1', 'red-2']) await untilAnswers(ports.get(name) ?? 0)
    assert.equal(await at('blue-1', 'hostname'), 'blue-1\n')
    await untilTrue('names to be served', async () => {
      return (await at('red-2', who('red-1.lab.internal')).catch(() => '')) === 'red-1\n'
    })
    await next.close()
  })

  test('a namespace whose name was removed by hand gets it back, and its machines go on', async () => {
    await removeSegment(networkFolder(networksDirectory(made.runDirectory), red.id))
    await untilTrue('the network to be sound', async () =>
      (await made.driver.networks.list()).every(({ trouble }) => trouble === null),
    )
    assert.equal(await at('red-2', who('10.1.1.5')), 'red-1\n')
  })

  test('a card that is plugged into a running machine gets its address and answers, and the next server knows it', async () => {
    const spec = specs.get('red-1')!
    const card = aCard(green, { deviceId: 1, address: '10.2.2.5' })
    const { sshPorts } = await made.driver.machines.attachNic(spec.vm, card, 'red-1')
    const sshPort = sshPorts[card.id] ?? 0
    specs.set('red-1', { ...spec, nics: [...spec.nics, { ...card, sshPort }] })
    ports.set('green', sshPort)
    await untilAnswers(sshPort)
    assert.match(await at('green', 'hostname; ip -4 addr show dev eth1'), /^red-1\n.*inet 10\.2\.2\.5\/24/s)
    assert.match(await at('green', 'ip -4 route | grep default'), /^default via 10\.1\.1\.1 [^\n]*\n$/)
    const next = await made.again()
    assert.deepEqual((await next.machines.facts(spec.vm)).sshPorts, sshPorts)
    await next.close()
  })

  test('connections live on while another process takes over the machine', async t => {
    const spec = specs.get('red-1')!
    const [outside, silent] = [await hold('red-1'), await hold('red-1')]
    await at('red-1', 'nc -l -p 7 -e cat >/dev/null 2>&1 &')
    await at('red-2', 'mkfifo /tmp/in; (nc 10.1.1.5 7 </tmp/in >/tmp/out &); sleep 9999 >/tmp/in & echo one >/tmp/in')
    await untilTrue('the inside connection', async () => (await at('red-2', 'cat /tmp/out')) === 'one\n')
    await at('red-1', 'nc -l -p 9 -e md5sum >/dev/null 2>&1 &')
    const announced = listenIn(red)
    const [transfer, first] = [await aTransfer(red), await processOf(made.runDirectory, spec.vm)]
    const half = randomBytes(2 ** 18).toString('base64')
    assert.equal(await carried(silent, half), half)
    const memory = { pool: made.pool, id: newId<'memory-image'>() }
    const [root] = spec.disks
    const bytes = (await made.driver.layers.facts(root.chain.at(-1)!))!.virtualBytes
    const [layer, back] = [await aLayerOn(root.chain, bytes), await aLayerOn(root.chain, bytes)]
    const cut = { disks: [{ disk: root, layer }] as const, memory, quiesce: false, machine: spec }
    const { way, stunMs } = await made.driver.machines.cut(spec.vm, cut, () => {}, notAborted)
    assert.equal(way, 'successor')
    t.diagnostic(`the guest stood still for ${Math.round(stunMs ?? 0)} ms while a second process took over`)
    const second = await processOf(made.runDirectory, spec.vm)
    assert.notDeepEqual(second, first)
    const { sent, received } = await transfer.end()
    assert.match(received, new RegExp(`^${sent} `))
    await at('red-1', 'touch /tmp/later')
    assert.equal(await echoed(outside, 'after it'), 'after it\n')
    await untilTrue('the announcement', async () => announced().includes(spec.nics[0]!.mac))

    const heard = announced().length
    const disks: MachineSpec['disks'] = [{ deviceId: 0, chain: [...root.chain, back] }]
    const from = performance.now()
    await made.driver.machines.replace({ ...spec, disks, memory })
    specs.set(spec.name, { ...spec, disks })
    t.diagnostic(`replaced by what it was, in ${Math.round(performance.now() - from)} ms`)
    assert.notDeepEqual(await processOf(made.runDirectory, spec.vm), second)
    assert.equal(await at('red-1', 'ls /tmp/later 2>/dev/null; hostname'), 'red-1\n')
    assert.equal(await carried(silent, half), half)
    await untilTrue('the second announcement', async () => announced().slice(heard).includes(spec.nics[0]!.mac))
    await at('red-2', 'echo two >/tmp/in')
    await untilTrue('the inside connection again', async () => (await at('red-2', 'cat /tmp/out')) === 'one\ntwo\n')
    assert.equal(await at('red-2', who('10.1.1.5')), 'red-1\n')
    assert.equal(await at('green', 'hostname'), 'red-1\n')
  })

  test('a card that is pulled out is gone from the guest, and from its network', async () => {
    const { vm, nics } = specs.get('red-1')!
    for (const _ of ['first', 'again']) await made.driver.machines.detachNic(vm, nics[1]!, notAborted)
    assert.equal(await at('red-1', 'ls /sys/class/net | grep eth1'), '')
    await made.driver.networks.remove(green.id)
    assert.equal(await answers(ports.get('green')!), false)
  })

  test('a machine whose process was killed starts again at the same address and port', async () => {
    const spec = specs.get('blue-1')!
    await made.crash(spec.vm)
    assert.equal(await at('blue-1', 'hostname'), '')
    await start(spec)
    assert.equal(ports.get('blue-1'), spec.nics[0]!.sshPort)
  })

  test('nothing is left', async () => {
    for (const { vm } of specs.values()) {
      await made.driver.machines.stop(vm, 0, notAborted)
      await made.driver.machines.discard(vm)
    }
    for (const { id } of [red, blue]) await made.driver.networks.remove(id)
    assert.deepEqual(await made.driver.networks.list(), [])
    for (const child of held) child.kill()
    await untilTrue('all programs to be gone', async () => (await findPrograms(ofThisTest)).length === 0)
    for (const { id } of [red, blue])
      assert.ok(!(await isNamespace(networkFolder(networksDirectory(made.runDirectory), id))))
  })

  const ofThisTest = (args: readonly string[]) => args.some(arg => arg.includes(made.folder))
  const forwarders = () => findPrograms(args => args[1]?.endsWith('forwarder.pl') === true && ofThisTest(args))
  const dnsmasqs = () => findPrograms(args => args[0] === 'dnsmasq' && ofThisTest(args))

  async function aLayerOn(chain: LayerChain, bytes: number): Promise<LayerRef> {
    const layer = { pool: made.pool, id: newId<'layer'>() }
    await made.driver.layers.fork(layer, chain, bytes, anOwner)
    return layer
  }

  /** Bytes on their way to port 9 of 10.1.1.5 until it is ended; and what is said to that, which is their sum. */
  async function aTransfer({ id: network }: NetworkSpec) {
    const place = { address: '127.0.0.1', port: await aFreePort() }
    await made.driver.networks.forward({ ...place, network, to: { address: '10.1.1.5', port: 9 }, ssh: null })
    const [socket, sum] = [connect({ port: place.port, allowHalfOpen: true }), createHash('md5')]
    let isToEnd = false
    const carry = async () => {
      for (let chunk = randomBytes(2 ** 15); !isToEnd; chunk = randomBytes(2 ** 15)) {
        sum.update(chunk)
        if (!socket.write(chunk)) await once(socket, 'drain', { signal: AbortSignal.timeout(30_000) })
        await sleep(2)
      }
      const received = once(socket, 'data', { signal: AbortSignal.timeout(30_000) })
      socket.end()
      return { sent: sum.digest('hex'), received: String((await received)[0]) }
    }
    const whole = carry().finally(() => made.driver.networks.unforward(place.address, place.port))
    return { end: () => ((isToEnd = true), whole) }
  }

  /** The cards that say where they are, by RARP or by ARP for their own address, as the network's bridge hears them. */
  function listenIn({ id }: NetworkSpec): () => readonly string[] {
    const script = `
      socket my $all, 17, 3, 0x0300 or die; $| = 1;
      while (sysread $all, my $frame, 2048) {
        my ($mac, $type, $from, $to) = unpack 'x6 H12 n x14 a4 x6 a4', $frame;
        print join(':', $mac =~ /../g), "\\n" if $type == 0x8035 or ($type == 0x0806 and $from eq $to);
      }`
    const directory = networksDirectory(made.runDirectory)
    const [program = '', ...way] = inside(directory, networkFolder(directory, id).namespaceFile)
    const child = spawn(program, [...way, 'perl', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    held.push(child)
    let said = ''
    child.stdout.on('data', bytes => (said += String(bytes)))
    return () => said.split('\n').filter(Boolean)
  }

  /** A connection to a program in the guest that repeats each line. */
  async function hold(name: string): Promise<ChildProcess> {
    const child = spawn('ssh', sshWords(key, ports.get(name)!, 'cat'), { stdio: ['pipe', 'pipe', 'ignore'] })
    held.push(child)
    assert.equal(await echoed(child, 'hello'), 'hello\n')
    return child
  }
})

/** Asks the web server at `address` for the name of its machine; wget crashes in a static busybox when it has a time limit. */
function who(address: string): string {
  return `printf 'GET /who HTTP/1.0\\r\\n\\r\\n' | nc -w 5 ${address} 80 | tail -n 1`
}

async function echoed(child: ChildProcess, line: string): Promise<string> {
  const answer = once(child.stdout!, 'data', { signal: AbortSignal.timeout(30_000) })
  child.stdin!.write(`${line}\n`)
  return String((await answer)[0])
}

/** The same, of as much as you like. */
async function carried(child: ChildProcess, text: string): Promise<string> {
  let back = ''
  child.stdin!.write(text)
  for await (const bytes of child.stdout!.iterator({ destroyOnReturn: false })) {
    back += String(bytes)
    if (back.length >= text.length) break
  }
  return back
}

async function untilTrue(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!(await holds())) {
    assert.ok(performance.now() < deadline, `waited in vain for ${what}`)
    await sleep(200)
  }
}
