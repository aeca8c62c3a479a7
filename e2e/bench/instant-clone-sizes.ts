// What instant clones cost where the guest's memory grows, and where more of them are asked for at once. A running source stands still for a
// moment; the event of the cut tells how long. Its first cut is by another way than later ones, so each round has a fresh source.
import { list, type Machine } from '../world.ts'
import type { BenchServer } from './bench-server.ts'
import type { Benchmark } from './benchmark.ts'
import { cloneSource } from './clone-source.ts'
import { figure, median, Series } from './measure.ts'
import type { Line } from './plot.ts'
import { fillMemory } from './snapshot-guest.ts'

const sizes = [256, 1024, 2048] as const
const counts = [1, 5, 10, 20] as const
const laterCuts = 3
type Name = `${'first' | 'later' | 'running' | 'frozen'} ${number}` | `count ${number}`

export const instantCloneSizes: Benchmark = {
  name: 'instant-clone-sizes',
  about: `instant clones of machines of ${sizes.join(', ')} MiB, and ${counts.join(', ')} at once; --clones N: at most so many at once`,
  rounds: 3,
  async run(server, rounds, clones = Math.max(...counts)) {
    const series = new Series<Name>()
    for (const mib of sizes)
      for (let round = 1; round <= rounds; round += 1) await ofOneSize(server, series, mib, round)
    const wanted = counts.filter(count => count <= clones)
    await atOnce(server, series, rounds, wanted)
    return { figures: figuresOf(series, wanted), notes: [], lines: linesOf(series, wanted) }
  },
}

/** Four tenths of its memory are full of something, as in the benchmark of VM snapshots. */
async function ofOneSize(server: BenchServer, series: Series<Name>, mib: number, round: number): Promise<void> {
  const name = `source-${mib}-${round}`
  const source = await cloneSource(server, name, mib)
  await server.world.ssh(source, fillMemory(mib))
  for (let cut = 0; cut <= laterCuts; cut += 1) {
    const clone = await server.clone(source.id, `${name}-${cut}`)
    series.note(round, `running ${mib}`, clone.running)
    series.note(round, cut === 0 ? `first ${mib}` : `later ${mib}`, await stunOf(server, source))
    await server.remove(clone)
  }
  await server.world.quiet()
  await server.world.client.run('freezeVirtualMachine', { id: source.id })
  for (let each = 0; each <= laterCuts; each += 1) {
    const clone = await server.clone(source.id, `${name}-frozen-${each}`)
    series.note(each, `frozen ${mib}`, clone.running)
    await server.remove(clone)
  }
  await server.remove(source)
}

/** The latest, as its event says it. */
async function stunOf({ world }: BenchServer, { id }: Machine): Promise<number> {
  const wanted = { resourceid: id, resourcetype: 'VirtualMachine' }
  const events = await list(world.client, 'listEvents', 'event', wanted)
  const told = events.map(event => /stood still for ([\d.]+) ms/.exec(String(event['description']))?.[1])
  return Number(told.find(each => each !== undefined) ?? Number.NaN)
}

async function atOnce(
  server: BenchServer,
  series: Series<Name>,
  rounds: number,
  wanted: readonly number[],
): Promise<void> {
  const { world } = server
  await world.client.call('updateConfiguration', { name: 'cpu.overprovisioning.factor', value: 100 })
  const source = await cloneSource(server, 'source-of-many', 256)
  await world.client.run('freezeVirtualMachine', { id: source.id })
  for (let round = 0; round <= rounds; round += 1)
    for (const count of wanted) {
      const begin = performance.now()
      const clones = await world.fork(source, `at-once-${round}-${count}`, count)
      series.note(round, `count ${count}`, performance.now() - begin)
      for (const clone of clones) await server.remove(clone)
    }
}

function figuresOf(series: Series<Name>, wanted: readonly number[]) {
  const perSize = (what: Parameters<typeof nameOf>[0], text: string, limit?: number) =>
    sizes.map(mib =>
      figure(
        `instant-clone-sizes: ${mib} MiB: ${text}`,
        'ms',
        series.of(nameOf(what, mib)),
        limit === undefined ? {} : { limit },
      ),
    )
  return [
    ...perSize('first', 'stun of a running source, first cut', 60),
    ...perSize('later', 'stun of a running source, later cuts', 60),
    ...perSize('running', 'running source, call to running'),
    ...perSize('frozen', 'frozen source, call to running'),
    ...wanted.map(count => figure(`instant-clone-sizes: ${count} at once, job end`, 'ms', series.of(`count ${count}`))),
  ]
}

function nameOf(what: 'first' | 'later' | 'running' | 'frozen', mib: number): Name {
  return `${what} ${mib}`
}

function linesOf(series: Series<Name>, wanted: readonly number[]): Line[] {
  const line = (name: string, along: Line['along'], at: readonly number[], of: (x: number) => Name): Line => ({
    name,
    along,
    points: at.map(x => [x, median(series.of(of(x)))] as const),
  })
  const memory = 'memory (MiB)'
  return [
    line('stun of a running source, first cut', memory, sizes, mib => `first ${mib}`),
    line('stun of a running source, later cuts', memory, sizes, mib => `later ${mib}`),
    line('running source, call to running clone', memory, sizes, mib => `running ${mib}`),
    line('frozen source, call to running clone', memory, sizes, mib => `frozen ${mib}`),
    line('frozen source, call until all run', 'machines', wanted, count => `count ${count}`),
  ]
}
