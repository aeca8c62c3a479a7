// What a machine in a guest network may not do, tried with frames that no guest's kernel would send.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { after, before, describe, test } from 'node:test'
import { aFreePort, aNetwork } from '../../contract-networks.ts'
import { type FrameMachine, aFrameMachine, asksForAddress, offerOf } from './a-machine.ts'
import { type SomeNetworks, aMember, refusal, someNetworks } from './a-network.ts'
import { type Station, arp, dhcp, ethernet, everybody, optionOf, ping, tcpData, tcpSyn, udp } from './frames.ts'
import { gatewayMac } from './segment.ts'

const gateway: Station = { mac: gatewayMac, address: '10.1.1.1' }
const all: Station = { mac: everybody, address: '255.255.255.255' }
const nobody: Station = { mac: '02:00:00:00:00:99', address: '10.1.1.99' }

describe('isolation of guest networks', { skip: refusal ?? false }, () => {
  let made: SomeNetworks
  let [ann, bob, eve]: FrameMachine[] = []
  const [red, blue] = [aNetwork(), aNetwork()]
  before(async () => {
    made = await someNetworks()
    ann = await aFrameMachine(made, aMember(red, '10.1.1.5'))
    bob = await aFrameMachine(made, aMember(red, '10.1.1.6'))
    eve = await aFrameMachine(made, aMember(blue, '10.1.1.6'))
    for (const each of [ann, bob, eve]) each.send(arp('ask', each.mac, each, gateway.address)) // so the gateway knows it
  })
  after(() => made?.dispose())

  /** Sends all from Ann, and then a frame that may pass: what Bob has not heard by then was dropped. */
  async function heardByBob(frames: Record<string, string>): Promise<string[]> {
    const last = udp({ from: ann!, to: bob!, payload: `last of ${Object.keys(frames).join()}` })
    ann!.send(...Object.values(frames), last)
    await bob!.hears(last)
    return Object.keys(frames).filter(name => bob!.heard.includes(frames[name]!))
  }

  test('a machine sends from its own MAC and address alone', async () => {
    const passing = {
      'to one': udp({ from: ann!, to: bob!, payload: 'one' }),
      'to one, in a connection': tcpData(ann!, bob!, 100),
      'to all': udp({ from: ann!, to: all, payload: 'all' }),
      'who is there': arp('ask', ann!.mac, ann!, bob!.address),
      'here I am': arp('answer', ann!.mac, ann!, ann!.address),
      'is this address free': arp('ask', ann!.mac, { ...ann!, address: '0.0.0.0' }, '10.1.1.77'),
    }
    assert.deepEqual(await heardByBob(passing), Object.keys(passing))
    const poses: Record<string, Partial<Station>> = {
      'a free address': { address: nobody.address },
      'a free MAC': { mac: nobody.mac },
      'the address of another': { address: bob!.address },
      'the MAC of another': { mac: bob!.mac },
      'the gateway': gateway,
      'no address': { address: '0.0.0.0' },
      'another network card': { mac: eve!.mac, address: eve!.address },
      'a neighbour': { mac: bob!.mac, address: bob!.address },
    }
    for (const frame of [
      (from: Station) => udp({ from, to: bob!, payload: JSON.stringify(from) }),
      (from: Station) => tcpData(from, bob!, 100),
      (from: Station) => ping(from, bob!),
    ])
      assert.deepEqual(
        await heardByBob(mapped(poses, as => frame({ mac: ann!.mac, address: ann!.address, ...as }))),
        [],
      )
  })

  test('a machine answers ARP for nobody else', async () => {
    const spoofed: Record<string, string> = {}
    for (const kind of ['ask', 'answer'] as const)
      for (const [name, outer, inner] of [
        ['the gateway’s address', ann!.mac, { mac: ann!.mac, address: gateway.address }],
        ['another’s address', ann!.mac, { mac: ann!.mac, address: bob!.address }],
        ['its own address, at another MAC', ann!.mac, { mac: nobody.mac, address: ann!.address }],
        ['the gateway in both', gateway.mac, gateway],
        ['itself, sent by another', nobody.mac, ann!],
        ['nobody, at another MAC', ann!.mac, { mac: nobody.mac, address: '0.0.0.0' }],
      ] as const)
        spoofed[`${kind}: ${name}`] = arp(kind, outer, inner, inner.address)
    assert.deepEqual(await heardByBob(spoofed), [])
  })

  test('what is neither IPv4 nor ARP does not pass', async () => {
    const inner = Buffer.from(udp({ from: ann!, to: bob!, payload: 'hidden' }), 'hex').subarray(12)
    const tagged = Buffer.concat([Buffer.from([0, 1]), inner])
    assert.deepEqual(
      await heardByBob({
        IPv6: ethernet(bob!.mac, ann!.mac, 0x86dd, Buffer.alloc(60, 0x60)),
        'a VLAN': ethernet(bob!.mac, ann!.mac, 0x8100, tagged),
        'a VLAN of a provider': ethernet(bob!.mac, ann!.mac, 0x88a8, tagged),
        'spanning tree': ethernet('01:80:c2:00:00:00', ann!.mac, 0x0027, Buffer.alloc(60)),
        LLDP: ethernet('01:80:c2:00:00:0e', ann!.mac, 0x88cc, Buffer.alloc(60)),
        PPPoE: ethernet(everybody, ann!.mac, 0x8863, Buffer.alloc(60)),
      }),
      [],
    )
  })

  test('a machine gets its own address by DHCP, and neither serves it nor speaks for another', async () => {
    const about = Buffer.concat([optionOf(50, bob!.address), optionOf(54, gateway.address)])
    const served = udp({ from: { ...ann!, port: 67 }, to: { ...bob!, port: 68 }, payload: 'yours' })
    const aloud = udp({ from: { ...ann!, port: 67 }, to: { ...all, port: 68 }, payload: 'everybody’s' })
    assert.deepEqual(await heardByBob({ served, aloud }), [])

    ann!.send(
      asksForAddress(ann!, bob!.mac),
      asksForAddress(ann!, bob!.mac, dhcp('decline', bob!.mac, about)),
      udp({ from: { ...ann!, port: 68 }, to: { ...gateway, port: 67 }, payload: dhcp('decline', bob!.mac, about) }),
      asksForAddress(ann!),
    )
    await ann!.hears(offerOf(ann!))
    assert.equal(
      ann!.heard.find(frame => frame.includes(offerOf(bob!))),
      undefined,
    )
    bob!.send(asksForAddress(bob!))
    await bob!.hears(offerOf(bob!))
  })

  test('a machine reaches nothing of the host but names, addresses and ping of its gateway', async t => {
    let reached = 0
    const service = createServer(() => (reached += 1)).listen(0, '0.0.0.0')
    await once(service, 'listening')
    t.after(() => service.close())
    const port = (service.address() as { port: number }).port
    const addresses = Object.values(networkInterfaces())
      .flatMap(each => each ?? [])
      .filter(each => each.family === 'IPv4') // prettier-ignore
    const hosts = ['127.0.0.1', gateway.address, ...addresses.map(({ address }) => address)]
    const forward = {
      address: '127.0.0.1',
      port: await aFreePort(),
      to: { address: ann!.address, port: 22 },
      ssh: null,
    }
    await made.networks.calls.forward({ ...forward, network: red.id })
    const earlier = ann!.heard.length
    for (const address of hosts)
      for (const each of [port, forward.port, 22, 80]) ann!.send(tcpSyn(ann!, { ...gateway, address }, each))
    ann!.send(udp({ from: ann!, to: { ...gateway, port: 123 }, payload: 'time?' }))
    ann!.send(tcpSyn(ann!, gateway, 53), ping(ann!, gateway))
    await ann!.hears(Buffer.from([0x45, 0]).toString('hex') + answerOfPing)
    const answers = ann!.heard.slice(earlier).filter(frame => frame.slice(24, 28) === '0800')
    assert.equal(answers.length, 2, answers.join('\n')) // of names and ping
    assert.equal(reached, 0)
  })

  test('nothing that a machine sends is heard in another network', async () => {
    ann!.send(
      udp({ from: ann!, to: eve!, payload: 'to Eve' }),
      udp({ from: ann!, to: all, payload: 'to everybody' }),
      arp('ask', ann!.mac, ann!, eve!.address),
    )
    await heardByBob({})
    eve!.send(ping(eve!, gateway))
    await eve!.hears(answerOfPing)
    assert.deepEqual(
      eve!.heard.filter(frame => frame.slice(12, 24) !== gatewayMac.replaceAll(':', '')),
      [],
    )
  })
})

const mapped = <From, To>(from: Record<string, From>, change: (one: From) => To): Record<string, To> =>
  Object.fromEntries(Object.entries(from).map(([name, one]) => [name, change(one)]))

/** The length of the test's ping, in the answer's header. */
const answerOfPing = '001c'
