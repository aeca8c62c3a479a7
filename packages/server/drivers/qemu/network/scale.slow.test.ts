// Two hundred networks with the same addresses, and two machines in each that speak with each other, all at once.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { aNetwork } from '../../contract-networks.ts'
import type { NetworkSpec } from '../../networks.ts'
import { type FrameMachine, aFrameMachine } from './a-machine.ts'
import { type SomeNetworks, aMember, refusal, someNetworks } from './a-network.ts'
import { servingProcess } from './dnsmasq.ts'
import { networkFolder } from './folder.ts'
import { everybody, udp } from './frames.ts'

const many = 200
let made: SomeNetworks
before(async () => {
  if (refusal === null) made = await someNetworks()
})
after(() => made?.dispose())

test('two hundred networks with two machines each, all at the same addresses', { skip: refusal ?? false }, async t => {
  const from = performance.now()
  const pairs: { spec: NetworkSpec; ann: FrameMachine; bob: FrameMachine }[] = []
  for (let count = 0; count < many; count += 1) {
    const spec = aNetwork()
    const ann = await aFrameMachine(made, aMember(spec, '10.1.1.5'))
    pairs.push({ spec, ann, bob: await aFrameMachine(made, aMember(spec, '10.1.1.6')) })
  }
  t.diagnostic(`${Math.round((performance.now() - from) / many)} ms for a network and two machines`)

  const all = { mac: everybody, address: '255.255.255.255' }
  for (const { spec, ann, bob } of pairs) {
    ann.send(udp({ from: ann, to: all, payload: spec.id }), udp({ from: ann, to: bob, payload: `${spec.id} to Bob` }))
    bob.send(udp({ from: bob, to: ann, payload: `${spec.id} to Ann` }))
  }
  for (const { spec, ann, bob } of pairs) {
    await bob.hears(hexOf(`${spec.id} to Bob`))
    await ann.hears(hexOf(`${spec.id} to Ann`))
  }
  for (const { spec, ann, bob } of pairs)
    for (const frame of [...ann.heard, ...bob.heard]) assert.ok(frame.includes(hexOf(spec.id)), frame)

  let bytes = 0
  for (const { spec } of pairs) {
    const serving = await servingProcess(networkFolder(made.directory, spec.id))
    bytes += Number(/^Pss:\s+(\d+) kB/m.exec(await readFile(`/proc/${serving?.pid}/smaps_rollup`, 'utf8'))?.[1]) * 1024
  }
  t.diagnostic(`${(bytes / many / 2 ** 20).toFixed(1)} MiB of dnsmasq for each network`)
  const look = performance.now()
  assert.ok((await made.networks.calls.list()).every(({ trouble }) => trouble === null))
  t.diagnostic(`${Math.round(performance.now() - look)} ms to look at all`)
})

const hexOf = (text: string) => Buffer.from(text).toString('hex')
