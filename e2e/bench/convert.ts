// Linked to full: a disk of 1 GiB of data is made to stand on nothing while its guest writes and flushes. Beside it, in turns, on a
// guest that writes as much: QEMU's other way, blockdev-mirror into a flat file, and qemu-img convert of the chain without -W.
import { execFile } from 'node:child_process'
import { chmod, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { LayerRef } from '@ramet/server/drivers/driver.ts'
import { chainAsFilename, tipName } from '@ramet/server/drivers/qemu/disks/blockdev.ts'
import { openJsonSocket } from '@ramet/server/drivers/qemu/process/json-socket.ts'
import { machineFolder } from '@ramet/server/drivers/qemu/machines/machine-folder.ts'
import type { Benchmark } from './benchmark.ts'
import { DiskWriter } from './disk-writer.ts'
import { figure, inTurns, Series, timed } from './measure.ts'
import { fill, type SnapshotGuest, SnapshotLab } from './snapshot-guest.ts'

const run = promisify(execFile)
const owner = { accountNumber: 1 }
const dataMib = 1024

export const convert: Benchmark = {
  name: 'convert',
  about: 'a linked disk of 1 GiB becomes a full one while the guest writes; peer: qemu-img convert beside such a guest',
  rounds: 5,
  async run(server, rounds) {
    const folder = join(server.directory, 'convert')
    const lab = await SnapshotLab.open(folder)
    try {
      const base = lab.layer()
      await lab.driver.layers.blank(base, dataMib * 2 ** 20, owner)
      await fill(base, dataMib)
      const copy = join(folder, 'copy.qcow2')
      const series = new Series<'stream' | 'mirror' | 'convert'>()
      await inTurns(rounds, {
        stream: round =>
          beside(lab, base, async guest => series.note(round, 'stream', await timed(() => guest.flatten(1)))),
        mirror: round =>
          beside(lab, base, guest =>
            lab.withoutDriver(async () => series.note(round, 'mirror', await mirror(folder, guest, copy))),
          ),
        convert: round =>
          beside(lab, base, async guest => {
            const words = ['convert', '-U', '-O', 'qcow2', chainAsFilename(guest.disks[1]!.chain), copy]
            series.note(round, 'convert', await timed(() => run('qemu-img', words)))
            await rm(copy)
          }),
      })
      const peer = series.of('convert')
      return {
        figures: [
          figure('convert: linked to full, 1 GiB, live', 'ms', series.of('stream'), { peer, limit: 4 }),
          figure('convert: the same by blockdev-mirror', 'ms', series.of('mirror'), { peer }),
        ],
        notes: [
          'Ours (block-stream) ends with its data on the disk (fsync); mirror and convert leave theirs in memory.',
        ],
      }
    } finally {
      await lab.close()
    }
  },
}

/** On a guest of its own that writes to the disk in question all the time. */
async function beside(
  lab: SnapshotLab,
  base: LayerRef,
  act: (guest: SnapshotGuest) => Promise<unknown>,
): Promise<void> {
  const guest = await lab.guest(256, await lab.fork([base]), false)
  const tip = guest.disks[1]!.chain.at(-1)!
  const writer = new DiskWriter(guest)
  try {
    await writer.running()
    await act(guest)
  } finally {
    await writer.end()
    await guest.remove()
  }
  await lab.driver.layers.discard(tip)
  await run('sync') // what one left to be written must not slow down the next
}

/** All of the disk goes into a flat file, and then the machine writes that. */
async function mirror(folder: string, { vm, disks }: SnapshotGuest, copy: string): Promise<number> {
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', copy, `${dataMib}M`])
  await chmod(copy, 0o666) // for the machine's own user
  const monitor = await Monitor.open(machineFolder(join(folder, 'vms'), vm).qmp)
  await monitor.ask('blockdev-add', { driver: 'qcow2', 'node-name': 'flat', file: { driver: 'file', filename: copy } })
  const ms = await timed(async () => {
    const way = { target: 'flat', sync: 'full', 'copy-mode': 'write-blocking', 'auto-dismiss': false }
    await monitor.ask('blockdev-mirror', { 'job-id': 'mirror', device: tipName(1, disks[1]!.chain), ...way })
    await monitor.until('ready')
    await monitor.ask('job-complete', { id: 'mirror' })
    await monitor.until('concluded')
  })
  monitor.close()
  await rm(copy)
  return ms
}

/** For commands that the driver has no use for. */
class Monitor {
  readonly #socket
  readonly #answers: ((message: Record<string, unknown>) => void)[] = []

  private constructor(path: string) {
    this.#socket = openJsonSocket(path, message => {
      if ('return' in message || 'error' in message) this.#answers.shift()?.(message)
    })
  }

  static async open(path: string): Promise<Monitor> {
    const monitor = new Monitor(path)
    await monitor.ask('qmp_capabilities')
    return monitor
  }

  async ask(execute: string, given: object = {}): Promise<unknown> {
    const socket = await this.#socket
    const answer = new Promise<Record<string, unknown>>(resolve => this.#answers.push(resolve))
    socket.send(`${JSON.stringify({ execute, arguments: given })}\n`)
    const { error, return: result } = await answer
    if (error) throw new Error(`QEMU refused ${execute}: ${JSON.stringify(error)}`)
    return result
  }

  async until(status: string): Promise<void> {
    for (;;) {
      const [job] = (await this.ask('query-jobs')) as { status: string; error?: string }[]
      if (job?.error) throw new Error(`the mirror failed: ${job.error}`)
      if (job?.status === status) return
      await sleep(10)
    }
  }

  close(): void {
    void this.#socket.then(socket => socket.close())
  }
}
