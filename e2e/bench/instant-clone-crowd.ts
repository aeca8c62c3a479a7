// Many instant clones of a frozen machine at once: by the API until all run and all are customized, and what each then takes of the host's
// memory; by the driver alone until all run and every guest's agent has answered, and what each takes before anybody spoke with it.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { MachineSpec } from '@ramet/server/drivers/driver.ts'
import type { BenchServer } from './bench-server.ts'
import type { Benchmark } from './benchmark.ts'
import { cloneSource } from './clone-source.ts'
import { FrozenGuest } from './driver-clones.ts'
import { figure } from './measure.ts'
import { availableBytes, pssOfMachine } from './memory-use.ts'

const mib = 2 ** 20
/** So many clones the promises speak of. */
const promised = 100
const atOnce = 2 * availableParallelism()

export const instantCloneCrowd: Benchmark = {
  name: 'instant-clone-crowd',
  about: 'many instant clones of a frozen machine (256 MiB) at once: --clones N, 100 unless said otherwise',
  rounds: 1,
  async run(server, _, clones = promised) {
    const byDriver = await crowdOfDriver(server, clones)
    const byApi = await crowdOfApi(server, clones)
    const limit = (ms: number) => (clones === promised ? { limit: ms } : {})
    const name = (what: string) => `instant-clone-crowd: ${clones} ${what}`
    return {
      figures: [
        figure(name('running, driver'), 'ms', [byDriver.running]),
        figure(name('answering their agent, driver'), 'ms', [byDriver.answering], limit(10_000)),
        figure(name('running, API'), 'ms', [byApi.running], limit(10_000)),
        figure(name('customized, API'), 'ms', [byApi.customized], limit(60_000)),
        figure(name('before customizing: PSS each'), 'bytes', byDriver.pss, { limit: 25 * mib }),
        figure(name('customized: PSS each'), 'bytes', byApi.pss, { limit: 45 * mib }),
        figure(name('customized, alive: memory of the host'), 'bytes', [byApi.taken], { limit: 12 * 1024 * mib }),
      ],
      notes: [
        'Customized: the agent confirmed hostname, machine-id, SSH host keys, clock, address and random numbers.',
        'Memory of the host: by how much what is available became less, file cache not counted.',
      ],
    }
  },
}

async function crowdOfDriver(server: BenchServer, count: number) {
  const frozen = await FrozenGuest.open(join(server.directory, 'crowd'), 256)
  const clones: MachineSpec[] = []
  try {
    const begin = performance.now()
    let left = count
    const oneByOne = async () => {
      while (left-- > 0) clones.push(await frozen.clone())
    }
    await Promise.all(Array.from({ length: atOnce }, oneByOne))
    const running = performance.now() - begin
    const answering = (await frozen.answered(clones)) - begin
    const pss = await Promise.all(clones.map(clone => pssOfMachine(frozen.recordOf(clone))))
    return { running, answering, pss }
  } finally {
    for (const clone of clones) await frozen.remove(clone)
    await frozen.close()
  }
}

async function crowdOfApi(server: BenchServer, count: number) {
  const { world } = server
  await world.client.call('updateConfiguration', { name: 'cpu.overprovisioning.factor', value: 2 * count })
  const source = await cloneSource(server, 'crowd-source', 256)
  await world.client.run('freezeVirtualMachine', { id: source.id })
  const before = await availableBytes()
  const begin = performance.now()
  const clones = await world.fork(source, 'crowd', count)
  const running = performance.now() - begin
  const customized = Math.max(...(await world.awaitCustomized(clones, 6 * count)).values()) - begin
  const pss = await Promise.all(clones.map(({ id }) => pssOfMachine(server.recordOf(id))))
  const taken = before - (await availableBytes())
  const now = await world.machines({ ids: clones.map(({ id }) => id).join() })
  if (now.some(({ state }) => state !== 'Running')) throw new Error('not all of them are alive')
  for (const clone of clones) await server.remove(clone)
  return { running, customized, pss, taken }
}
