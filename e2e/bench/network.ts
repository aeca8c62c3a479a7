// Guest networks: what the guard costs frames between two machines, and how long a network and a forward take. Frames go between the
// taps of two machines in full size; guests under TCG are so slow that they would hide what lies between them.
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { newId } from '@ramet/core/ids.ts'
import { aFreePort, aNetwork } from '@ramet/server/drivers/contract-networks.ts'
import { aFrameMachine, asksForAddress, offerOf } from '@ramet/server/drivers/qemu/network/a-machine.ts'
import { aMember, refusal, someNetworks, type SomeNetworks } from '@ramet/server/drivers/qemu/network/a-network.ts'
import { networkFolder } from '@ramet/server/drivers/qemu/network/folder.ts'
import { tcpData } from '@ramet/server/drivers/qemu/network/frames.ts'
import { guard } from '@ramet/server/drivers/qemu/network/segment.ts'
import type { Benchmark } from './benchmark.ts'
import { figure, inTurns, Series, timed } from './measure.ts'

const program = join(import.meta.dirname, 'pump.pl')
/** As much as fits into an Ethernet frame; and what guests hand over at once of a connection that has much to send. */
const single = { frames: 64 * 1024, payload: 1460 }
const joined = { frames: 16 * 1024, payload: 44 * 1460 }

export const network: Benchmark = {
  name: 'network',
  about: 'machine to machine against a bare bridge, a network with its first address, a forward',
  rounds: 15,
  alone: true,
  async run(_, rounds) {
    if (refusal !== null) return { figures: [], notes: [refusal] }
    const made = await someNetworks()
    try {
      const series = new Series<'ours' | 'bare' | 'ours joined' | 'bare joined' | 'address' | 'forward'>()
      const [ours, bare] = [await aPair(made), await aPair(made)]
      await guard(networkFolder(made.directory, bare[0].network.id), 'flush ruleset\n')
      const service = await aService(made)
      await inTurns(rounds, {
        ours: async round => series.note(round, 'ours', await pump(made, ours, single)),
        bare: async round => series.note(round, 'bare', await pump(made, bare, single)),
        oursJoined: async round => series.note(round, 'ours joined', await pump(made, ours, joined)),
        bareJoined: async round => series.note(round, 'bare joined', await pump(made, bare, joined)),
        address: async round => series.note(round, 'address', await firstAddress(made)),
        forward: async round => series.note(round, 'forward', await forward(made, service)),
      })
      const against = (floor: readonly number[]) => ({ floor, limit: 1.25 })
      return {
        figures: [
          figure(`network: ${told(single)}`, 'ms', series.of('ours'), against(series.of('bare'))),
          figure(`network: ${told(joined)}`, 'ms', series.of('ours joined'), against(series.of('bare joined'))),
          figure('network: made, and first address served', 'ms', series.of('address'), { limit: 300 }),
          figure('network: forward active, and first byte through it', 'ms', series.of('forward'), { limit: 50 }),
        ],
        notes: [
          'From tap to tap, in frames of full size and in such as guests join; bare: bridge and taps without the guard.',
        ],
      }
    } finally {
      await made.dispose()
    }
  },
}

type Load = typeof single

const told = ({ frames, payload }: Load) =>
  `${Math.round((frames * (payload + 54)) / 2 ** 20)} MiB in frames of ${payload + 54} bytes`

type Pair = readonly [ReturnType<typeof aMember>, ReturnType<typeof aMember>]

async function aPair({ networks }: SomeNetworks): Promise<Pair> {
  const spec = aNetwork()
  const pair = [aMember(spec, '10.1.1.5'), aMember(spec, '10.1.1.6')] as const
  for (const nic of pair) await networks.admit(newId<'vm'>(), [nic], 'pump')
  return pair
}

async function pump(made: SomeNetworks, [from, to]: Pair, { frames, payload }: Load): Promise<number> {
  const [frame, answer] = [tcpData(from, to, payload), tcpData(to, from, 0)]
  const child = made.become([from, to], ['perl', program, String(frames), frame, answer])
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  await once(child, 'exit')
  return Number(said)
}

/** From nothing to the offer of an address that a machine gets. */
async function firstAddress(made: SomeNetworks): Promise<number> {
  const nic = aMember(aNetwork(), '10.1.1.5')
  const begin = performance.now()
  const machine = await aFrameMachine(made, nic)
  machine.send(asksForAddress(machine))
  await machine.hears(offerOf(machine))
  const ms = performance.now() - begin
  await machine.end()
  await made.networks.calls.remove(nic.network.id)
  return ms
}

async function aService(made: SomeNetworks) {
  const spec = aNetwork()
  await made.networks.calls.ensure(spec)
  const script = `require('node:net').createServer(s => s.end('hello')).listen(7, () => console.log('up'))`
  await once(made.inside(spec, script).stdout, 'data')
  // The forwarder runs as long as there is anything to forward; here always.
  const to = { address: spec.gateway, port: 7 }
  const kept = { address: '127.0.0.1', port: await aFreePort(), network: spec.id, to, ssh: null }
  await made.networks.calls.forward(kept)
  return kept
}

async function forward(made: SomeNetworks, service: Awaited<ReturnType<typeof aService>>): Promise<number> {
  const port = await aFreePort()
  const ms = await timed(async () => {
    await made.networks.calls.forward({ ...service, port })
    await once(connect(port, '127.0.0.1'), 'data')
  })
  await made.networks.calls.unforward('127.0.0.1', port)
  return ms
}
