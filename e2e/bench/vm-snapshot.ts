// VM snapshots, by the driver: how long the guest stands still for a cut of two disks, and with its memory; how long a revert to a
// memory takes; what a guest notices of a live delete. libvirt's internal snapshots take turns where there is a like: of a
// domain with the same board, memory and devices, whose guest filled as much of its memory.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { argumentsWhere, bareMachine } from './bare-qemu.ts'
import type { BenchServer } from './bench-server.ts'
import type { Benchmark } from './benchmark.ts'
import { DiskWriter } from './disk-writer.ts'
import { type Libvirt, LibvirtMachine, startLibvirt } from './libvirt.ts'
import { figure, Series, timed } from './measure.ts'
import { fill, type SnapshotGuest, SnapshotLab } from './snapshot-guest.ts'

type Name = 'disks' | 'small' | 'large' | 'revert' | 'revert large' | 'theirs' | 'their revert' | 'stall' | 'idle'

export const vmSnapshot: Benchmark = {
  name: 'vm-snapshot',
  about: 'a guest stands still for a snapshot; revert to its memory; live delete. Peer: libvirt, internal snapshots',
  rounds: 5,
  async run(server, rounds) {
    const libvirt = await startLibvirt(join(server.directory, 'libvirt'))
    const lab = await SnapshotLab.open(join(server.directory, 'snap'))
    try {
      const series = new Series<Name>()
      const notes = await smallGuest(server, libvirt, lab, rounds, series)
      await largeGuests(lab, rounds, series)
      await liveDelete(lab, rounds, series)
      return { figures: figuresOf(series), notes }
    } finally {
      await lab.close()
      await libvirt.close()
    }
  },
}

function figuresOf(series: Series<Name>) {
  const theirs = series.of('theirs').length > 0
  const peer = (name: Name) => (theirs ? { peer: series.of(name) } : {})
  return [
    figure('vm-snapshot: two disks, live: stun', 'ms', series.of('disks'), { limit: 10 }),
    figure('vm-snapshot: disks and memory, 256 MiB: stun', 'ms', series.of('small'), { limit: 150 }),
    figure('vm-snapshot: disks and memory, 1 GiB: stun', 'ms', series.of('large'), { limit: 500 }),
    figure('vm-snapshot: 256 MiB against libvirt', 'ms', series.of('small'), peer('theirs')),
    figure('vm-snapshot: revert to memory, 256 MiB', 'ms', series.of('revert'), { limit: 100 }),
    figure('vm-snapshot: revert to memory, 2 GiB', 'ms', series.of('revert large'), { limit: 100 }),
    figure('vm-snapshot: revert against libvirt', 'ms', series.of('revert'), peer('their revert')),
    figure('vm-snapshot: live delete of 300 MiB: longest stall', 'ms', series.of('stall'), { limit: 100 }),
    figure('vm-snapshot: longest stall with no delete', 'ms', series.of('idle')),
  ]
}

/** Ours and libvirt's in turn, each with the other's guest idle. */
async function smallGuest(
  server: BenchServer,
  libvirt: Libvirt,
  lab: SnapshotLab,
  rounds: number,
  series: Series<Name>,
): Promise<string[]> {
  const guest = await lab.guest(256)
  const { domain, notes } = await theirGuest(server, libvirt, guest)
  try {
    for (let round = 0; round <= rounds; round += 1) {
      series.note(round, 'disks', (await guest.cut(null)).stunMs ?? Number.NaN)
      const [image, old] = [guest.image(), guest.disks]
      series.note(round, 'small', (await guest.cut(image)).stunMs ?? Number.NaN)
      series.note(round, 'revert', await guest.revert(old, image))
      await guest.untilAnswers()
      await lab.driver.memory.discard(image)
      if (domain) {
        const snapshot = `s${round}`
        series.note(round, 'theirs', await timed(() => libvirt.virsh('snapshot-create-as', domain.name, snapshot)))
        series.note(
          round,
          'their revert',
          await timed(() => libvirt.virsh('snapshot-revert', domain.name, snapshot, '--force')),
        )
        await libvirt.virsh('snapshot-delete', domain.name, snapshot)
      }
    }
  } finally {
    await domain?.remove()
    await guest.remove()
  }
  return notes
}

async function theirGuest(server: BenchServer, libvirt: Libvirt, guest: SnapshotGuest) {
  const folders = ['bare', 'domain'].map(name => join(server.directory, name)) as [string, string]
  for (const folder of folders) await mkdir(folder)
  const args = await argumentsWhere(each => each.includes(guest.vm))
  try {
    const bare = await bareMachine(args, folders[0])
    const domain = await LibvirtMachine.prepare(libvirt, folders[1], bare.base, args)
    await domain.boot()
    return {
      domain,
      notes: [
        "Stun: from QEMU's event STOP to its event RESUME; of disks alone: the QMP transaction, with the guest running on.",
        `${libvirt.version}: internal snapshots, with the machine paused from beginning to end; its guest's memory is emptier than ours.`,
      ],
    }
  } catch (error) {
    return { domain: null, notes: [`No libvirt here: ${error instanceof Error ? error.message : String(error)}`] }
  }
}

async function largeGuests(lab: SnapshotLab, rounds: number, series: Series<Name>): Promise<void> {
  const large = await lab.guest(1024)
  for (let round = 0; round <= rounds; round += 1) {
    const image = large.image()
    series.note(round, 'large', (await large.cut(image)).stunMs ?? Number.NaN)
    await lab.driver.memory.discard(image)
  }
  await large.remove()
  const largest = await lab.guest(2048)
  const [image, old] = [largest.image(), largest.disks]
  await largest.cut(image)
  for (let round = 0; round <= rounds; round += 1) {
    series.note(round, 'revert large', await largest.revert(old, image))
    await largest.untilAnswers()
  }
  await lab.driver.memory.discard(image)
  await largest.remove()
}

/** A node with 300 MiB goes while the guest writes and flushes. Before it, the same guest with nothing going on. */
async function liveDelete(lab: SnapshotLab, rounds: number, series: Series<Name>): Promise<void> {
  for (let round = 0; round <= Math.min(rounds, 3); round += 1) {
    const base = lab.layer()
    await lab.driver.layers.blank(base, 2 ** 30, { accountNumber: 1 })
    const middle = await lab.fork([base])
    await fill(middle.at(-1)!, 300)
    const guest = await lab.guest(256, await lab.fork(middle), false)
    const writer = new DiskWriter(guest)
    await writer.running()
    series.note(round, 'idle', await writer.stallWhile(() => sleep(1500)))
    series.note(round, 'stall', await writer.stallWhile(() => guest.merge(1)))
    await writer.end()
    await guest.remove()
  }
}
