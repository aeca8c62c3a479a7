// Two guests in a network: what its guard costs what one sends to the other, and how long one is silent
// while another process takes it over: that of a revert to memory.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { newId } from '@ramet/core/ids.ts'
import { anOwner } from '@ramet/server/drivers/contract.ts'
import { aCard, aNetwork } from '@ramet/server/drivers/contract-networks.ts'
import type { LayerChain, LayerRef, MachineSpec } from '@ramet/server/drivers/driver.ts'
import { aQemuDriver, type QemuUnderTest } from '@ramet/server/drivers/qemu/a-driver.ts'
import { aTinyMachine, inGuest, tiny, untilAnswers } from '@ramet/server/drivers/qemu/guest/a-tiny.ts'
import {
  type NetworkFolder,
  networkFolder,
  networksDirectory,
  readMembers,
} from '@ramet/server/drivers/qemu/network/folder.ts'
import { guardRules } from '@ramet/server/drivers/qemu/network/guard.ts'
import { inside } from '@ramet/server/drivers/qemu/network/keeper.ts'
import { networkRefusal } from '@ramet/server/drivers/qemu/network/probe.ts'
import { guard } from '@ramet/server/drivers/qemu/network/segment.ts'
import type { Benchmark } from './benchmark.ts'
import { figure, inTurns, Series } from './measure.ts'

const pinger = join(import.meta.dirname, 'pinger.pl')
const bytes = 16 * 2 ** 20
const [receiver, sender] = ['10.1.1.5', '10.1.1.6']
const notAborted = new AbortController().signal

export const guestNetwork: Benchmark = {
  name: 'guest-network',
  about: 'guest to guest with and without the guard, and the silence of a machine while another process takes it over',
  rounds: 10,
  alone: true,
  async run(_, rounds) {
    const refusal = (await networkRefusal()) ?? (tiny ? null : 'tiny cannot be built here')
    if (refusal !== null) return { figures: [], notes: [refusal] }
    const made = await aQemuDriver()
    try {
      const { acceleration } = await made.driver.hosts.facts({ id: newId<'host'>(), name: 'bench' })
      const guests = await twoGuests(made)
      const series = new Series<'ours' | 'bare' | 'gap'>()
      await inTurns(rounds, {
        ours: async round => series.note(round, 'ours', await guests.transfer(true)),
        bare: async round => series.note(round, 'bare', await guests.transfer(false)),
        gap: async round => series.note(round, 'gap', await guests.handover()),
      })
      return {
        figures: [
          figure(`guest-network: ${bytes / 2 ** 20} MiB from guest to guest`, 'ms', series.of('ours'), {
            floor: series.of('bare'),
            limit: 1.25,
          }),
          figure('guest-network: silence while another process takes over', 'ms', series.of('gap'), { limit: 200 }),
        ],
        notes: [
          `Guests run under ${acceleration.toUpperCase()}. Bare: the same guests and bridge, while there are no rules.`,
        ],
      }
    } finally {
      await made.dispose()
    }
  },
}

async function twoGuests(made: QemuUnderTest) {
  const network = aNetwork()
  const first = await aTinyMachine(made)
  const { key, base } = first
  const folder = networkFolder(networksDirectory(made.runDirectory), network.id)
  const start = async (name: string, address: string) => {
    const root = await aLayerOn(made, [base])
    const disks: MachineSpec['disks'] = [{ deviceId: 0, chain: [base, root] }]
    const spec = { ...first.spec, vm: newId<'vm'>(), name, disks, nics: [aCard(network, { address })] }
    const { sshPorts } = await made.driver.machines.start(spec)
    const port = Object.values(sshPorts)[0] ?? 0
    await untilAnswers(port)
    return { spec, ask: (command: string) => inGuest(key, port, command) }
  }
  const [to, from] = [await start('receiver', receiver), await start('sender', sender)]
  const { spec } = to
  const [disk] = spec.disks
  const memory = { pool: made.pool, id: newId<'memory-image'>() }
  const onwards = async (): Promise<MachineSpec['disks']> => [
    { ...disk, chain: [...disk.chain, await aLayerOn(made, disk.chain)] },
  ]
  const cut = { disks: [{ disk, layer: await aLayerOn(made, disk.chain) }] as const, memory, quiesce: false }
  await made.driver.machines.cut(spec.vm, cut, () => {}, notAborted)
  return {
    /** Milliseconds, as the sender sees it. */
    async transfer(isGuarded: boolean): Promise<number> {
      await guard(folder, isGuarded ? await rulesOf(folder) : 'flush ruleset\n')
      await to.ask(`nc -l -p 9 -e sh -c 'head -c ${bytes} | wc -c' >/dev/null 2>&1 &`)
      const send = `dd if=/dev/zero bs=65536 count=${bytes / 65_536} 2>/dev/null | nc ${receiver} 9`
      const said = await from.ask(`read from x </proc/uptime; ${send}; read to x </proc/uptime; echo $from $to`)
      const [count, begin = 0, end = 0] = said.trim().split(/\s+/).map(Number)
      if (count !== bytes) throw new Error(`the receiver got ${count} bytes`)
      await guard(folder, await rulesOf(folder))
      return 1000 * (end - begin)
    },
    /** The longest time in which a neighbour got no echo, every 5 ms, while another process became the machine. */
    async handover(): Promise<number> {
      const ping = aPinger(made, folder)
      try {
        await ping.longest() // from when it answers
        await made.driver.machines.replace({ ...spec, disks: await onwards(), memory })
        await to.ask('true')
        return await ping.longest()
      } finally {
        ping.end()
      }
    },
  }
}

const rulesOf = async (folder: NetworkFolder) => guardRules(await readMembers(folder))

async function aLayerOn({ driver, pool }: QemuUnderTest, chain: LayerChain): Promise<LayerRef> {
  const layer = { pool, id: newId<'layer'>() }
  const { virtualBytes } = (await driver.layers.facts(chain.at(-1) as LayerRef)) ?? { virtualBytes: 0 }
  await driver.layers.fork(layer, chain, virtualBytes, anOwner)
  return layer
}

/** At the network's gateway. */
function aPinger({ runDirectory }: QemuUnderTest, { namespaceFile }: NetworkFolder) {
  const [program = '', ...way] = inside(networksDirectory(runDirectory), namespaceFile)
  const child: ChildProcess = spawn(program, [...way, 'perl', pinger, receiver], { stdio: ['pipe', 'pipe', 'inherit'] })
  return {
    async longest(): Promise<number> {
      child.stdin!.write('\n')
      return Number(String((await once(child.stdout!, 'data'))[0]))
    },
    end: () => void child.stdin!.end(),
  }
}
