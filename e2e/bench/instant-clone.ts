// One instant clone of a frozen machine with 256 MiB, by the API and by the driver alone, until its process runs and until its guest
// answers. The floor is QEMU with a machine's own arguments, started bare; the peer is what libvirt has for this: a domain
// that goes on from a file with its memory (`virsh restore`), which can be one domain at a time only.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type BareMachine, bareMachine } from './bare-qemu.ts'
import type { BenchServer } from './bench-server.ts'
import type { Benchmark } from './benchmark.ts'
import { cloneSource } from './clone-source.ts'
import { FrozenGuest } from './driver-clones.ts'
import { LibvirtMachine, startLibvirt } from './libvirt.ts'
import { figure, inTurns, Series, timed } from './measure.ts'

type Name = 'call' | 'done' | 'driver' | 'answer' | 'floor' | 'peer'

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
    async api(round) {
      const clone = await server.clone(source.id, `instant-${round}`)
      series.note(round, 'call', clone.running)
      series.note(round, 'done', clone.done)
      await server.world.awaitCustomized([clone])
      await server.remove(clone)
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
  const floor = series.of('floor')
  const peer = series.of('peer')
  return {
    figures: [
      figure('instant-clone: API, call to running', 'ms', series.of('call'), { floor, limit: 1.3 }),
      figure('instant-clone: API, call to job end', 'ms', series.of('done'), { floor }),
      figure('instant-clone: driver, request to running', 'ms', series.of('driver'), { floor, limit: 1.3 }),
      figure('instant-clone: driver, request to first answer', 'ms', series.of('answer'), { limit: 75 }),
      ...(peer.length > 0
        ? [figure('instant-clone: driver against libvirt', 'ms', series.of('driver'), { peer })]
        : []),
    ],
    notes: [
      typeof saved === 'string'
        ? saved
        : `${saved.version}: restore of a domain that was saved; its memory is as full.`,
      'Bare QEMU begins to boot; a clone has its disks made and its memory back. First answer: of the guest agent.',
    ],
  }
}

interface Saved {
  readonly version: string
  /** Milliseconds until it runs again; then it is ended. */
  restore(): Promise<number>
  close(): Promise<void>
}

async function aSavedDomain(folder: string, base: string, args: readonly string[]): Promise<Saved> {
  const libvirt = await startLibvirt(join(folder, 'libvirt'))
  try {
    const domain = await LibvirtMachine.prepare(libvirt, folder, base, args)
    const file = join(folder, 'memory')
    await domain.boot()
    await libvirt.virsh('save', domain.name, file)
    return {
      version: libvirt.version,
      async restore() {
        const ms = await timed(() => libvirt.virsh('restore', file))
        await libvirt.virsh('destroy', domain.name)
        return ms
      },
      async close() {
        await domain.remove()
        await libvirt.close()
      },
    }
  } catch (error) {
    await libvirt.close()
    throw error
  }
}
