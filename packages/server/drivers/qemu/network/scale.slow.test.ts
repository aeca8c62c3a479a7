// Two hundred networks with the same addresses, and two machines' taps in each.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { newId } from '@ramet/core/ids.ts'
import { eventually } from '../../../testing/eventually.ts'
import { aNetwork } from '../../contract-networks.ts'
import { type SomeNetworks, aMember, refusal, someNetworks } from './a-network.ts'
import { servingProcess } from './dnsmasq.ts'
import { networkFolder, tapNames } from './folder.ts'
import { tapsSeenBy } from './segment.ts'

const many = 200
let made: SomeNetworks
before(async () => {
  if (refusal === null) made = await someNetworks()
})
after(() => made?.dispose())

test('two hundred networks with two machines each, all at the same addresses', { skip: refusal ?? false }, async t => {
  const from = performance.now()
  const pairs = Array.from({ length: many }, () => aNetwork()).map(network =>
    ['10.1.1.5', '10.1.1.6'].map(address => aMember(network, address)),
  )
  for (const pair of pairs) for (const nic of pair) await made.networks.admit(newId<'vm'>(), [nic], 'web-1')
  t.diagnostic(`${Math.round((performance.now() - from) / many)} ms for a network and two cards`)
  for (const nic of pairs.flat()) made.hold(nic)
  let bytes = 0
  for (const [first, second] of pairs) {
    const serving = await servingProcess(networkFolder(made.directory, first!.network.id))
    const wanted = [first!, second!].map(nic => tapNames(nic.id)[0]).toSorted()
    await eventually('the taps', async () =>
      isDeepStrictEqual((await tapsSeenBy(serving?.pid ?? 0)).toSorted(), wanted),
    )
    bytes += Number(/^Pss:\s+(\d+) kB/m.exec(await readFile(`/proc/${serving?.pid}/smaps_rollup`, 'utf8'))?.[1]) * 1024
  }
  t.diagnostic(`${(bytes / many / 2 ** 20).toFixed(1)} MiB of dnsmasq for each network`)
  const look = performance.now()
  assert.ok((await made.networks.calls.list()).every(({ trouble }) => trouble === null))
  t.diagnostic(`${Math.round(performance.now() - look)} ms to look at all`)
})
