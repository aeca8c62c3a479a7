// A guest that writes and flushes without end, for benchmarks of what else is done with its disk meanwhile.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { median } from './measure.ts'
import type { SnapshotGuest } from './snapshot-guest.ts'

/** Writes and flushes a block again and again, and tells when each is done. */
export class DiskWriter {
  readonly #ssh
  #ticks: number[] = []

  constructor(guest: SnapshotGuest) {
    const loop =
      'while :; do busybox dd if=/dev/zero of=/dev/vdb bs=4k count=1 conv=fsync,notrunc 2>/dev/null; echo; done'
    this.#ssh = spawn('ssh', guest.sshWords(loop), { stdio: ['ignore', 'pipe', 'ignore'] })
    this.#ssh.stdout.on('data', () => this.#ticks.push(performance.now()))
  }

  async running(): Promise<void> {
    while (this.#ticks.length < 20) await sleep(50)
  }

  /** The longest pause between two ticks, less what is usual. */
  async stallWhile(act: () => Promise<unknown>): Promise<number> {
    this.#ticks = [performance.now()]
    await act()
    await sleep(200)
    const gaps = this.#ticks.slice(1).map((tick, index) => tick - (this.#ticks[index] ?? tick))
    return Math.max(...gaps) - median(gaps)
  }

  async end(): Promise<void> {
    const ended = once(this.#ssh, 'exit')
    this.#ssh.kill()
    await ended
  }
}
