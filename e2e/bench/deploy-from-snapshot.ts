// Machines from a VM snapshot with 1 GiB of random data, from the call to the running process. In turns:
//   seeded  a snapshot whose seed was made ahead (prepareTemplate): the first machine of it, and the third
//   first   a snapshot without a seed: its first machine waits for the copy
//   old     what there was before: a template of the snapshot on secondary storage, and a machine of that, which brings it back
// Each has a snapshot of its own. Then twenty machines of one seeded snapshot, at once and in a row.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { eventually } from '@ramet/server/testing/eventually.ts'
import { type Fields, list } from '../world.ts'
import type { BenchServer } from './bench-server.ts'
import type { Benchmark } from './benchmark.ts'
import { bigTemplate } from './full-clone.ts'
import { figure, inTurns, Series, timed } from './measure.ts'
import type { Deployed } from './timed-calls.ts'

const run = promisify(execFile)
const machines = 20

type Name = 'first of seeded' | 'third of seeded' | 'first' | 'old' | 'at once' | 'in a row'

export const deployFromSnapshot: Benchmark = {
  name: 'deploy-from-snapshot',
  about: 'a linked clone of a VM snapshot with 1 GiB of data; peers: the way over secondary storage, twenty in a row',
  rounds: 5,
  async run(server, rounds) {
    const series = new Series<Name>()
    const { template } = await bigTemplate(server)
    const source = (await server.deploy(template, 'source', 'linked', { startvm: false })).id
    await oneByOne(server, source, rounds, series)
    await twenty(server, source, Math.ceil(rounds / 2), series)
    const seeded = series.of('third of seeded')
    return {
      figures: [
        figure('deploy-from-snapshot: first of a seeded one', 'ms', series.of('first of seeded'), {
          peer: seeded,
          limit: 1.2,
        }),
        figure('deploy-from-snapshot: over secondary storage', 'ms', seeded, { peer: series.of('old'), limit: 0.1 }),
        figure('deploy-from-snapshot: first, with its seed', 'ms', series.of('first'), { peer: series.of('old') }),
        figure(`deploy-from-snapshot: ${machines} at once`, 'ms', series.of('at once'), {
          peer: series.of('in a row'),
          limit: 1.1,
        }),
      ],
      notes: [
        'Peer of the first line: the third machine of the same snapshot. Over secondary storage: createTemplate vmsnapshotid, then deployVirtualMachine of it.',
      ],
    }
  },
}

async function oneByOne(server: BenchServer, source: string, rounds: number, series: Series<Name>): Promise<void> {
  await inTurns(rounds, {
    seeded: round =>
      withSnapshot(server, source, `seeded-${round}`, async snapshot => {
        await seed(server, snapshot)
        for (const name of ['first of seeded', 'second', 'third of seeded'] as const)
          await removed(server, server.deploySnapshot(snapshot, `seeded-${round}-${name.split(' ')[0]}`), ms => {
            if (name !== 'second') series.note(round, name, ms)
          })
      }),
    first: round =>
      withSnapshot(server, source, `first-${round}`, snapshot =>
        removed(server, server.deploySnapshot(snapshot, `first-${round}`), ms => series.note(round, 'first', ms)),
      ),
    old: round =>
      withSnapshot(server, source, `old-${round}`, async vmsnapshotid => {
        let template = ''
        const before = await timed(async () => {
          const made = await server.world.client.run('createTemplate', { name: `old-${round}`, vmsnapshotid })
          template = (made['template'] as Fields)['id'] as string
        })
        const deploying = server.deploy(template, `old-${round}`, 'linked')
        await removed(server, deploying, ms => series.note(round, 'old', before + ms))
        await server.world.deleteTemplate(template)
      }),
  })
}

/** A VM snapshot of the source for the time of `act`; what it leaves to be written must not slow down the next. */
async function withSnapshot(
  { world }: BenchServer,
  source: string,
  name: string,
  act: (snapshot: string) => Promise<void>,
): Promise<void> {
  const snapshot = (await world.takeSnapshot({ id: source }, name, false))['id'] as string
  await act(snapshot)
  await world.deleteSnapshot(snapshot)
  await run('sync')
}

async function seed({ world }: BenchServer, vmsnapshotid: string): Promise<void> {
  await world.client.call('prepareTemplate', { vmsnapshotid })
  await eventually('the snapshot is seeded', async () => {
    const [found] = await list(world.client, 'listVMSnapshot', 'vmSnapshot', { vmsnapshotid })
    return found?.['seedstate'] === 'Ready' || null
  })
  await run('sync')
}

/** Tells when the machine ran, and removes it. */
async function removed(server: BenchServer, deploying: Promise<Deployed>, tell: (ms: number) => void): Promise<void> {
  const machine = await deploying
  tell(machine.running)
  await server.remove(machine)
}

async function twenty(server: BenchServer, source: string, rounds: number, series: Series<Name>): Promise<void> {
  // Twenty machines of one CPU each are more than two processors admit by themselves.
  await server.world.client.call('updateConfiguration', { name: 'cpu.overprovisioning.factor', value: machines })
  const names = (way: string) => Array.from({ length: machines }, (_, index) => `${way}-${index + 1}`)
  await withSnapshot(server, source, 'twenty', async snapshot => {
    await seed(server, snapshot)
    const measure = async (round: number, name: 'at once' | 'in a row', deploy: () => Promise<Deployed[]>) => {
      let made: Deployed[] = []
      const wall = await timed(async () => (made = await deploy()))
      series.note(round, name, wall)
      await Promise.all(made.map(machine => server.remove(machine)))
    }
    await inTurns(rounds, {
      once: round =>
        measure(round, 'at once', () =>
          Promise.all(names(`once-${round}`).map(name => server.deploySnapshot(snapshot, name))),
        ),
      row: round =>
        measure(round, 'in a row', async () => {
          const made: Deployed[] = []
          for (const name of names(`row-${round}`)) made.push(await server.deploySnapshot(snapshot, name))
          return made
        }),
    })
  })
}
