// What a linked clone's layer takes when it has just been made: its length, and the blocks that the file system gave it.
import { stat } from 'node:fs/promises'
import type { Benchmark } from './benchmark.ts'
import { figure } from './measure.ts'

const limit = 256 * 1024

export const linkedCloneBytes: Benchmark = {
  name: 'linked-clone-bytes',
  about: 'own bytes of a linked clone’s layer at its creation',
  rounds: 3,
  async run(server, rounds) {
    const template = await server.tiny()
    const [lengths, blocks]: [number[], number[]] = [[], []]
    for (let round = 1; round <= rounds; round += 1) {
      const before = new Set(await server.layerFiles())
      const machine = await server.deploy(template, `bytes-${round}`, 'linked', { startvm: false })
      const made = (await server.layerFiles()).filter(file => !before.has(file))
      if (made.length !== 1) throw new Error(`a linked clone of one disk made ${made.length} layers`)
      const facts = await stat(made[0] ?? '')
      lengths.push(facts.size)
      blocks.push(facts.blocks * 512)
      await server.remove(machine)
    }
    return {
      figures: [
        figure('linked-clone-bytes', 'bytes', blocks, { limit }),
        figure('linked-clone-bytes: length of the file', 'bytes', lengths, { limit }),
      ],
      notes: [],
    }
  },
}
