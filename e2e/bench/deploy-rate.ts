// How fast machines can be made where the hypervisor takes no time: what is left is the door, the jobs and the database.
import { cpus } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { Benchmark } from './benchmark.ts'
import { figure, timed } from './measure.ts'
import { withSimulatedCloud } from './simulated.ts'

const machines = 1000
const callers = 32
const hosts = 64

export const deployRate: Benchmark = {
  name: 'deploy-rate',
  about: `${machines} deployments by ${callers} callers on ${hosts} simulated hosts, from the first call to the last job done`,
  rounds: 1,
  alone: true,
  async run(_, rounds) {
    const [each, answered]: [number[], number[]] = [[], []]
    for (let round = 1; round <= rounds; round += 1)
      await withSimulatedCloud(hosts, async cloud => {
        const begin = performance.now()
        let left = machines
        const caller = async () => {
          while (left-- > 0) answered.push(await timed(() => cloud.deploy()))
        }
        await Promise.all(Array.from({ length: callers }, caller))
        while ((await cloud.running()) < machines) await delay(100)
        each.push((performance.now() - begin) / machines)
      })
    return {
      figures: [
        figure('deploy-rate: per deployment', 'ms', each, { limit: 10 }),
        figure('deploy-rate: answer to the call', 'ms', answered),
      ],
      notes: [
        `${each.map(ms => Math.round(1000 / ms)).join(', ')} deployments a second on ${cpus().length} processors, which client and database share`,
      ],
    }
  },
}
