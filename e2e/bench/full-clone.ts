// A full clone: deployVirtualMachine with startvm=false until the job's end, against `qemu-img convert -W -m 8` of the same
// base to the same file system. The template has 1 GiB of random data on a disk of 2 GiB. Ours is on the disk when the
// job ends, because a copy that is acknowledged must outlive a power failure; so the floor is convert with an fsync behind
// it, and convert alone, which leaves the data in memory, is shown beside it.
import { execFile } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { BenchServer } from './bench-server.ts'
import type { Benchmark } from './benchmark.ts'
import { figure, inTurns, Series, timed } from './measure.ts'

const run = promisify(execFile)
const mib = 2 ** 20
const dataMib = 1024
const diskMib = 2048

export const fullClone: Benchmark = {
  name: 'full-clone',
  about: 'a full clone of 1 GiB of data, call to job end; floor: qemu-img convert -W -m 8 and fsync',
  rounds: 7,
  async run(server, rounds) {
    const { template, base } = await bigTemplate(server)
    const copy = join(server.directory, 'copy.qcow2')
    const series = new Series<'ours' | 'convert' | 'fsync'>()
    await inTurns(rounds, {
      async ours(round) {
        const machine = await server.deploy(template, `full-${round}`, 'full', { startvm: false })
        series.note(round, 'ours', machine.done)
        await server.remove(machine)
        await run('sync')
      },
      async floor(round) {
        const convert = await timed(() => run('qemu-img', ['convert', '-W', '-m', '8', '-O', 'qcow2', base, copy]))
        series.note(round, 'convert', convert)
        series.note(round, 'fsync', convert + (await timed(() => syncFile(copy))))
        await rm(copy)
        await run('sync') // what one left to be written must not slow down the next
      },
    })
    const ours = series.of('ours')
    return {
      figures: [
        figure('full-clone', 'ms', ours, { floor: series.of('fsync'), limit: 1.2 }),
        figure('full-clone against convert without fsync', 'ms', ours, { floor: series.of('convert') }),
      ],
      notes: [
        'Ours is on the disk (fsync of file and folder) when the job ends; the floor is convert with the same duty.',
      ],
    }
  },
}

/** A template with 1 GiB of random data on a disk of 2 GiB, and the file of its copy on the pool. */
export async function bigTemplate(server: BenchServer): Promise<{ template: string; base: string }> {
  const [raw, image] = ['data.raw', 'data.qcow2'].map(name => join(server.directory, name)) as [string, string]
  await writeRandom(raw)
  await run('qemu-img', ['convert', '-W', '-m', '8', '-O', 'qcow2', raw, image])
  await rm(raw)
  const before = new Set(await server.layerFiles())
  const template = await server.register(image, 'data')
  await rm(image)
  const [base] = (await server.layerFiles()).filter(file => !before.has(file))
  if (!base || (await stat(base)).size < dataMib * mib)
    throw new Error(`the template's copy is not to be found: ${base}`)
  await run('sync')
  return { template, base }
}

async function writeRandom(path: string): Promise<void> {
  const file = await open(path, 'wx')
  try {
    const piece = Buffer.alloc(16 * mib)
    for (let at = 0; at < dataMib * mib; at += piece.length)
      await file.write(randomFillSync(piece), 0, piece.length, at)
    await file.truncate(diskMib * mib)
  } finally {
    await file.close()
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
