// `ramet bench [NAME] [--json] [--rounds N] [--clones N] [--plot FILE.svg]`: measures what docs promise, on real machines
// of a server of its own.
import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { UsageError } from '@ramet/cli/explain.ts'
import { BenchServer } from './bench-server.ts'
import type { Benchmark, Result } from './benchmark.ts'
import { convert } from './convert.ts'
import { deployBurst } from './deploy-burst.ts'
import { deployFromSnapshot } from './deploy-from-snapshot.ts'
import { deployRate } from './deploy-rate.ts'
import { fullClone } from './full-clone.ts'
import { guestNetwork } from './guest-network.ts'
import { idleMemory } from './idle-memory.ts'
import { instantClone } from './instant-clone.ts'
import { instantCloneCrowd } from './instant-clone-crowd.ts'
import { instantCloneCycles } from './instant-clone-cycles.ts'
import { instantCloneSizes } from './instant-clone-sizes.ts'
import { linkedCloneBytes } from './linked-clone-bytes.ts'
import { linkedClone } from './linked-clone.ts'
import { listMachines } from './list-machines.ts'
import { network } from './network.ts'
import { plot } from './plot.ts'
import { table } from './table.ts'
import { vmSnapshot } from './vm-snapshot.ts'
import { vsphere } from './vsphere.ts'

const benchmarks: readonly Benchmark[] = [
  linkedClone,
  fullClone,
  linkedCloneBytes,
  deployBurst,
  deployFromSnapshot,
  idleMemory,
  deployRate,
  listMachines,
  vmSnapshot,
  convert,
  network,
  guestNetwork,
  instantClone,
  instantCloneCrowd,
  instantCloneSizes,
  instantCloneCycles,
  vsphere,
]

/** 0 when every promise that was measured is kept. */
export async function bench(args: readonly string[]): Promise<number> {
  const { names, json, rounds, clones, picture } = read(args)
  const chosen = names.length === 0 ? benchmarks : benchmarks.filter(({ name }) => names.includes(name))
  // One that brings its own cloud is not given another.
  const server = chosen.every(({ alone }) => alone) ? null : await BenchServer.start()
  try {
    const results: Result[] = []
    const say = (line: string) => void (json || process.stdout.write(`${line}\n`))
    if (server)
      say(`Guests run under ${(await server.world.acceleration()).toUpperCase()} on ${cpus().length} processors.`)
    for (const benchmark of chosen) {
      say(`\n${benchmark.name}: ${benchmark.about}`)
      const result = await benchmark.run(server as BenchServer, rounds ?? benchmark.rounds, clones)
      results.push(result)
      for (const note of result.notes) say(note)
      say(`\n${table(result.figures)}`)
    }
    const figures = results.flatMap(result => result.figures)
    if (picture) await writeFile(picture, plot(results.flatMap(({ lines = [] }) => lines)))
    if (json) process.stdout.write(`${JSON.stringify(figures)}\n`)
    return figures.some(({ pass }) => pass === false) ? 1 : 0
  } finally {
    await server?.close()
  }
}

function read(args: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean' },
      rounds: { type: 'string' },
      clones: { type: 'string' },
      plot: { type: 'string' },
    },
  })
  const unknown = positionals.find(each => !benchmarks.some(({ name }) => name === each))
  if (unknown)
    throw new UsageError(
      `There is no benchmark "${unknown}"; there are ${benchmarks.map(({ name }) => name).join(', ')}`,
    )
  const rounds = numberOf('--rounds', values.rounds)
  const clones = numberOf('--clones', values.clones)
  return { names: positionals, json: values.json ?? false, rounds, clones, picture: values.plot }
}

function numberOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) throw new UsageError(`${option} wants a number from 1 on`)
  return number
}
