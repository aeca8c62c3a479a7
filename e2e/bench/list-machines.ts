// Lists of many machines: a page as a user interface asks for it, and all of them as a script does.
import type { Benchmark } from './benchmark.ts'
import { fill } from './fill.ts'
import { figure, timed } from './measure.ts'
import { pssBytes } from './memory-use.ts'
import { withSimulatedCloud } from './simulated.ts'

const machines = 25_000
const page = 500

export const listMachines: Benchmark = {
  name: 'list-machines',
  about: `listVirtualMachines among ${machines} simulated machines: pages of ${page}, and all`,
  rounds: 20,
  alone: true,
  run: (_, rounds) =>
    withSimulatedCloud(16, async cloud => {
      await cloud.deploy()
      while ((await cloud.running()) < 1);
      await cloud.restart(() => fill(cloud.directory, machines - 1))
      const ask = (parameters: Record<string, string | number>) =>
        timed(async () => {
          const { count } = await cloud.client.call('listVirtualMachines', { listall: true, ...parameters })
          if (count !== machines) throw new Error(`there are ${String(count)} machines, not ${machines}`)
        })
      const pages = async (parameters: Record<string, string>) => {
        const times: number[] = []
        for (let round = -3; round < rounds; round += 1) {
          const time = await ask({ page: 1 + (Math.abs(round) % 50), pagesize: page, ...parameters })
          if (round >= 0) times.push(time) // what came before warmed up
        }
        return times
      }
      const [min, all] = [await pages({ details: 'min' }), await pages({})]
      const [everyMin, every]: [number[], number[]] = [[], []]
      for (let round = 0; round < 3; round += 1) {
        everyMin.push(await ask({ pagesize: -1, details: 'min' }))
        every.push(await ask({ pagesize: -1 }))
      }
      return {
        figures: [
          figure(`list-machines: page of ${page}, details=min`, 'ms', min, { limit: 50 }),
          figure(`list-machines: page of ${page}, all details`, 'ms', all),
          figure('list-machines: all, details=min', 'ms', everyMin, { limit: 1000 }),
          figure('list-machines: all, all details', 'ms', every, { limit: 4000 }),
          figure('list-machines: memory (PSS) afterwards', 'bytes', [await pssBytes(cloud.pid)]),
        ],
        notes: ['Times are those of a client: the call, the answer and its parsing.'],
      }
    }),
}
