// One instant clone of a frozen machine with 256 MiB, by the API and by the driver alone, until its process runs and until its guest
// answers. The floor is QEMU with a machine's own arguments, started bare; the peer is what libvirt has for this: a domain
// that goes on from a file with its memory (`virsh restore`), which can be one domain at a time only.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '@ramet/server/testing/eventually.ts'
import { type BareMachine, bareMachine } from './bare-qemu.ts'
import type { BenchServer } from './bench-server.ts'
import type { Benchmark } from './benchmark.ts'
import { cloneSource } from './clone-source.ts'
import { FrozenGuest } from './driver-clones.ts'
import { figure, inTurns, Series, timed } from './measure.ts'
import { aSavedDomain, type Saved } from './saved-domain.ts'
import type { Deployed } from './timed-calls.ts'

type Name = 'cold' | 'warm' | 'warm end' | 'driver' | 'answer' | 'floor' | 'peer'

export const instantClone: Benchmark = {
  name: 'instant-clone',
  about:
    'an instant clone of a frozen machine (256 MiB), call to running process; floor: bare QEMU; peer: virsh restore',
  rounds: 15,
  async run(server, rounds) {
    const [bareFolder, domainFolder] = ['bare-clone', 'restored'].map(name => join(server.directory, name)) as [
      string,
      string,
    ]
    for (const folder of [bareFolder, domainFolder]) await mkdir(folder, { recursive: true })
    let bare: BareMachine | null = null
    let saved: Saved | string = ''
    const frozen = await FrozenGuest.open(join(server.directory, 'frozen'), 256, async args => {
      bare = await bareMachine(args, bareFolder)
      saved = await aSavedDomain(domainFolder, bare.base, args).catch(
        (error: unknown) => `No libvirt here: ${String(error)}`,
      )
    })
    try {
      return await compare(server, rounds, frozen, bare!, saved)
    } finally {
      if (typeof saved !== 'string') await (saved as Saved).close()
      await frozen.close()
    }
  },
}

async function compare(
  server: BenchServer,
  rounds: number,
  frozen: FrozenGuest,
  bare: BareMachine,
  saved: Saved | string,
) {
  const source = await cloneSource(server, 'instant-source', 256)
  await server.world.client.run('freezeVirtualMachine', { id: source.id })
  const series = new Series<Name>()
  await inTurns(rounds, {
    async cold(round) {
      await waiting(server, 0)
      const clone = await removed(server, await server.clone(source.id, `cold-${round}`))
      series.note(round, 'cold', clone.running)
    },
    async warm(round) {
      await waiting(server, 1)
      const clone = await removed(server, await server.clone(source.id, `warm-${round}`))
      series.note(round, 'warm', clone.running)
      series.note(round, 'warm end', clone.done)
      await waiting(server, 0)
    },
    async driver(round) {
      const begin = performance.now()
      const clone = await frozen.clone()
      series.note(round, 'driver', performance.now() - begin)
      series.note(round, 'answer', (await frozen.answered([clone])) - begin)
      await frozen.remove(clone)
    },
    async floor(round) {
      series.note(round, 'floor', await timed(() => bare.start()).finally(() => bare.remove()))
    },
    async peer(round) {
      if (typeof saved !== 'string') series.note(round, 'peer', await saved.restore())
    },
  })
  const taken = await server.metric('ramet_warm_taken')
  const floor = series.of('floor')
  const peer = series.of('peer')
  return {
    figures: [
      figure('instant-clone: API, warm: call to running', 'ms', series.of('warm'), { limit: 20 }),
      figure('instant-clone: API, warm: call to job end', 'ms', series.of('warm end')),
      figure('instant-clone: API, cold: call to running', 'ms', series.of('cold'), { floor, limit: 1.3 }),
      figure('instant-clone: driver, request to running', 'ms', series.of('driver'), { floor, limit: 1.3 }),
      figure('instant-clone: driver, request to first answer', 'ms', series.of('answer'), { limit: 75 }),
      ...(peer.length > 0
        ? [figure('instant-clone: driver against libvirt', 'ms', series.of('driver'), { peer })]
        : []),
    ],
    notes: [
      `Clones that a process waited for: ${taken}; the rounds, and one that warms up: ${rounds + 1}.`,
      typeof saved === 'string'
        ? saved
        : `${saved.version}: restore of a domain that was saved; its memory is as full.`,
      'Warm: a process waited for the clone (instantclone.warm.most 1); cold: none did (0). Bare QEMU begins to boot; a clone has its disks made and its memory back. First answer: of the guest agent.',
    ],
  }
}

/** A process that waits for the next clone, or none; the first clone of all makes the source one that such are kept for. */
async function waiting(server: BenchServer, most: number): Promise<void> {
  await server.world.client.call('updateConfiguration', { name: 'instantclone.warm.most', value: most })
  if (most > 0 && (await server.metric('ramet_warm_missed')) === 0) return
  await eventually('as many processes wait', async () => (await server.metric('ramet_warm_waiting')) === most)
}

/** Once it is customized: a guest that is ended in the middle of that would not tell more. */
async function removed(server: BenchServer, clone: Deployed): Promise<Deployed> {
  await server.world.awaitCustomized([clone])
  await server.remove(clone)
  return clone
}
