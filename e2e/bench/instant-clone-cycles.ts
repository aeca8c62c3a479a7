// A machine that is cloned and its clones destroyed, again and again, reads its disk afterwards as fast as before: its layers go as
// nobody stands on them. A clone that lives meanwhile notices nothing.
import { stat } from 'node:fs/promises'
import type { Machine } from '../world.ts'
import type { BenchServer } from './bench-server.ts'
import type { Benchmark } from './benchmark.ts'
import { cloneSource } from './clone-source.ts'
import { figure, Series, timed } from './measure.ts'

const measurements = 5
/** A guest under TCG takes longer to begin a program than to read a block: so many are read from each place. */
const perPlace = 250
const places = Array.from({ length: 16 }, (_, index) => ((index * 7) % 16) * 8000 + index * 100)
const blocks = places.length * perPlace

export const instantCloneCycles: Benchmark = {
  name: 'instant-clone-cycles',
  about: 'a running machine is cloned and the clone destroyed; then its disk is cleaned up and read, against before',
  rounds: 200,
  async run(server, rounds) {
    const { world } = server
    const source = await cloneSource(server, 'cycles', 256)
    const fresh = await readTimes(server, source)
    const [alive] = await world.fork(source, 'alive', 1)
    if (!alive) throw new Error('no clone was made')
    await world.awaitCustomized([alive])
    const settled = await world.machine(alive.id)
    await world.awaitSsh(settled)
    await world.ssh(settled, 'echo mine > /root/alive; sync')
    const sum = 'cat /root/alive /etc/hostname | busybox sha256sum'
    const before = { sum: await world.ssh(settled, sum), ...(await layersOf(server)) }
    const series = new Series<'cycle'>()
    for (let round = 0; round <= rounds; round += 1) {
      const cycle = async () => server.remove(await server.clone(source.id, `cycle-${round}`))
      series.note(round, 'cycle', await timed(cycle))
    }
    await world.client.run('consolidateVirtualMachine', { virtualmachineid: source.id })
    await world.quiet()
    const after = await readTimes(server, source)
    if ((await world.ssh(settled, sum)) !== before.sum) throw new Error('the clone that lived meanwhile has changed')
    const left = await layersOf(server)
    const { chainDepth } = await world.machine(source.id)
    const name = (what: string) => `instant-clone-cycles: ${what}`
    return {
      figures: [
        figure(name('one cycle'), 'ms', series.of('cycle')),
        figure(name(`${blocks} reads of 4 KiB after ${rounds}`), 'ms', after, { floor: fresh, limit: 1.2 }),
        figure(name('bytes of all layers'), 'bytes', [left.bytes], { floor: [before.bytes], limit: 1.2 }),
      ],
      notes: [
        `Layers of all disks: ${left.count}, before the cycles ${before.count}; the machine's chain has ${chainDepth}, with one clone alive.`,
      ],
    }
  },
}

async function layersOf(server: BenchServer): Promise<{ count: number; bytes: number }> {
  const files = await Promise.all((await server.layerFiles()).map(file => stat(file)))
  return { count: files.length, bytes: files.reduce((sum, { blocks: pieces }) => sum + 512 * pieces, 0) }
}

/** Read past the guest's cache, one after the other, here and there. */
async function readTimes({ world }: BenchServer, machine: Machine): Promise<number[]> {
  const now = `$(cut -d ' ' -f 1 /proc/uptime)`
  const one = `busybox dd if=/dev/vda of=/dev/null bs=4k count=${perPlace} skip=$at iflag=direct 2>/dev/null || exit 1`
  const read = `echo 3 > /proc/sys/vm/drop_caches; a=${now}; for at in ${places.join(' ')}; do ${one}; done; echo $a ${now}`
  const times: number[] = []
  for (let each = 0; each <= measurements; each += 1) {
    const [from = 0, to = 0] = (await world.ssh(machine, read)).split(' ').map(Number)
    if (each > 0) times.push(1000 * (to - from))
  }
  return times
}
