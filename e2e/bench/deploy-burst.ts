// A lab for a class: linked clones asked for all at once, all started. The guests boot meanwhile, and under TCG that takes
// processors from the starts that are still to come. No limit: it tells what to expect.
import { cpus } from 'node:os'
import type { Benchmark } from './benchmark.ts'
import { figure, timed } from './measure.ts'

const machines = 20

export const deployBurst: Benchmark = {
  name: 'deploy-burst',
  about: `${machines} linked clones asked for at once and started`,
  rounds: 1,
  async run(server, rounds) {
    const template = await server.tiny()
    // Twenty machines of one CPU each are more than two processors admit by themselves.
    await server.world.client.call('updateConfiguration', { name: 'cpu.overprovisioning.factor', value: machines })
    const [walls, each]: [number[], number[]] = [[], []]
    for (let round = 1; round <= rounds; round += 1) {
      const names = Array.from({ length: machines }, (_, index) => `burst-${round}-${index + 1}`)
      let deployed: Awaited<ReturnType<typeof server.deploy>>[] = []
      const wall = await timed(async () => {
        deployed = await Promise.all(names.map(name => server.deploy(template, name, 'linked')))
      })
      walls.push(wall)
      each.push(...deployed.map(({ done }) => done))
      await Promise.all(deployed.map(machine => server.remove(machine)))
    }
    return {
      figures: [
        figure(`deploy-burst: ${machines} machines`, 'ms', walls),
        figure('deploy-burst: each, from the common start', 'ms', each),
        figure(
          'deploy-burst: per machine',
          'ms',
          walls.map(wall => wall / machines),
        ),
      ],
      notes: [`on ${cpus().length} processors`],
    }
  },
}
