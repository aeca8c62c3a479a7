// What the server takes while nobody asks anything of it. The database has processes of its own and is not counted.
import { setTimeout as delay } from 'node:timers/promises'
import type { Benchmark } from './benchmark.ts'
import { figure } from './measure.ts'
import { pssBytes } from './memory-use.ts'
import { withSimulatedCloud } from './simulated.ts'

const settleMs = 10_000
const limit = 150 * 2 ** 20

export const idleMemory: Benchmark = {
  name: 'idle-memory',
  about: 'memory (PSS) of a server without work, ten seconds after its start, without its database',
  rounds: 3,
  alone: true,
  async run(_, rounds) {
    const values: number[] = []
    for (let round = 1; round <= rounds; round += 1)
      await withSimulatedCloud(16, async ({ pid }) => {
        await delay(settleMs)
        values.push(await pssBytes(pid))
      })
    return { figures: [figure('idle-memory: PSS', 'bytes', values, { limit })], notes: [] }
  },
}
