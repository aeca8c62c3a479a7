// The memory of a running machine as a memory image. QEMU sends all of it once while the guest runs, and notes what the guest writes
// meanwhile; then it stops the machine, we have the disks cut at that instant, and what was written comes again, with the
// state of the devices. So the guest stands still for what it writes in a second or so, not for all its memory, and a
// pool that is too full is noticed before anything was cut. How its memory is mapped does not matter.
//
// QEMU must only ask which pages were written while the machine stands still. Under TCG a processor notes a page before it writes
// it, and may be held up in between for any time: asked then, QEMU forgets the note, sends the page as it was, and the
// write is lost (seen on a busy host: six pages of 65536, and a guest that crashed after its revert). So the machine is stopped for
// an instant at the beginning too, and a downtime-limit of 0 keeps QEMU from asking again before the end.
import { setTimeout as sleep } from 'node:timers/promises'
import type { MemoryImageFacts, Progress } from '../../driver.ts'
import { chooseCapabilities, mainMemory } from './device-state.ts'
import type { Machine } from '../machines/machine.ts'
import { beginImage, discardImage, type ImageAt, publishImage } from './memory-files.ts'
import { MemoryReceiver } from './memory-receiver.ts'
import type { Identity } from '../process/privileges.ts'
import { problems } from '../problems.ts'
import type { MigrationInfo, Qmp, QmpEvent } from '../process/qmp.ts'
import { shapeOf } from '../machines/shape.ts'

const noLimit = 2 ** 40
const lookEveryMs = 25
const lastPartLimitMs = 120_000
const lateEventMs = 1000

interface Saved {
  readonly stunMs: number
  readonly memory: MemoryImageFacts
}

/**
 * `cut` is called at the instant that the memory is of. Whatever fails, the machine runs on and no image is left. A machine that `stays` at
 * that instant stands still afterwards.
 */
export async function saveMemory(
  machine: Machine,
  image: ImageAt,
  quiesced: boolean,
  identity: Identity | null,
  cut: () => Promise<void>,
  progress: Progress,
  signal: AbortSignal,
  then: 'goes on' | 'stays' = 'goes on',
): Promise<Saved> {
  const qmp = await machine.monitor()
  const { running, status } = await qmp.execute('query-status')
  if (!running) throw problems.machinePaused(status)
  const shape = await shapeOf(machine)
  try {
    const { ram, state } = await beginImage(image, shape.memoryMib, identity)
    const memoryBytes = shape.memoryMib * 2 ** 20
    const task = { socket: machine.found.folder.memory, ram, state, block: mainMemory, memoryBytes }
    const receiver = await MemoryReceiver.start(task, image.pool.path, identity)
    try {
      const stunMs = await send(machine, qmp, receiver, cut, progress, signal, then)
      await receiver.written
      const memory = await publishImage(image, { shape, quiesced })
      progress(100)
      return { stunMs, memory }
    } finally {
      await receiver.close()
    }
  } catch (error) {
    await discardImage(image).catch(() => {}) // the first failure is the one to tell; half an image is none
    throw error
  }
}

async function send(
  machine: Machine,
  qmp: Qmp,
  receiver: MemoryReceiver,
  cut: () => Promise<void>,
  progress: Progress,
  signal: AbortSignal,
  then: 'goes on' | 'stays',
): Promise<number> {
  const stun = new Stun()
  const unheard = machine.hear(event => stun.hear(event))
  try {
    await chooseCapabilities(qmp, ['pause-before-switchover', 'events'])
    await qmp.execute('migrate-set-parameters', { 'max-bandwidth': noLimit, 'downtime-limit': 0 })
    await qmp.execute('stop')
    await qmp.execute('migrate', { uri: `unix:${machine.found.folder.memory}` })
    await untilNoting(qmp)
    await qmp.execute('cont')
    await untilStill(qmp, stun, progress, signal)
    await receiver.caughtUp() // a full pool is noticed before anything is cut
    await cut()
    await qmp.execute('migrate-continue', { state: 'pre-switchover' })
    await untilSent(qmp, stun)
    await receiver.received
    if (then === 'stays') return 0
    await qmp.execute('cont')
    return await stun.ms()
  } catch (error) {
    if (machine.alive) await goOn(qmp)
    // What the writer says comes first: QEMU only knows that nobody listens any more.
    await Promise.race([receiver.received, sleep(200)])
    throw signal.aborted ? problems.cancelled(signal.reason) : error
  } finally {
    unheard()
  }
}

/** Fulfils when QEMU notes what is written: it has asked for the first time then. */
async function untilNoting(qmp: Qmp): Promise<void> {
  for (;;) {
    const { ram, status } = await going(qmp)
    if (status === 'active' && ram && ram['dirty-sync-count'] > 0) return
    await sleep(1)
  }
}

/** Fulfils when the machine stands still, with all memory sent once. */
async function untilStill(qmp: Qmp, stun: Stun, progress: Progress, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const { status, ram } = await going(qmp)
    if (status === 'pre-switchover') return
    if (ram && ram.total > 0) progress(Math.min(90, (90 * (ram.total - ram.remaining)) / ram.total))
    await Promise.race([stun.still, sleep(lookEveryMs)])
  }
}

/** How it goes, while it goes. */
async function going(qmp: Qmp): Promise<MigrationInfo> {
  const info = await qmp.execute('query-migrate')
  if (info.status === 'failed' || info.status === 'cancelled' || info.status === 'completed')
    throw problems.memoryNotSent(info['error-desc'] ?? `its migration is ${info.status}`)
  return info
}

async function untilSent(qmp: Qmp, stun: Stun): Promise<void> {
  const deadline = performance.now() + lastPartLimitMs
  for (;;) {
    const { status, 'error-desc': why } = await qmp.execute('query-migrate')
    if (status === 'completed') return
    if (status === 'failed' || status === 'cancelled') throw problems.memoryNotSent(why ?? `its migration is ${status}`)
    if (performance.now() > deadline) throw problems.memoryNotSent('its last pages did not come')
    await Promise.race([stun.sent, sleep(lookEveryMs)])
  }
}

const standing = new Set(['finish-migrate', 'postmigrate'])
const sending = new Set(['setup', 'active', 'pre-switchover', 'device', 'cancelling'])

/** Lets a machine run whose memory was being saved, by us or by an earlier server: at whatever point that ended. */
export async function goOn(qmp: Qmp): Promise<void> {
  const deadline = performance.now() + lastPartLimitMs
  for (let isAsked = false; performance.now() < deadline; await sleep(2)) {
    const { status } = await qmp.execute('query-status')
    const { status: migration = 'none' } = await qmp.execute('query-migrate')
    if (sending.has(migration)) {
      if (!isAsked) await qmp.execute('migrate_cancel')
      isAsked = true
    } else if (standing.has(status) || (status === 'paused' && (await isSaved(qmp)))) await qmp.execute('cont')
    else return
  }
}

const ofSaving = new Set(['pause-before-switchover', 'x-ignore-shared'])

/** Whether its memory was ever about to be saved: a machine that stands still may have been stopped for that, else by somebody else. */
async function isSaved(qmp: Qmp): Promise<boolean> {
  const capabilities = await qmp.execute('query-migrate-capabilities')
  return capabilities.some(({ capability, state }) => ofSaving.has(capability) && state)
}

/** How long the machine stood still at a time, at most, as QEMU noted it. */
class Stun {
  readonly #still = Promise.withResolvers<void>()
  readonly #sent = Promise.withResolvers<void>()
  #began: number | null = null
  #longest = 0

  get still(): Promise<void> {
    return this.#still.promise
  }

  get sent(): Promise<void> {
    return this.#sent.promise
  }

  hear({ event, at, data }: QmpEvent): void {
    if (event === 'STOP') this.#began = at
    if (event === 'RESUME') this.#end(at)
    const status = event === 'MIGRATION' ? data['status'] : null
    if (status === 'pre-switchover') this.#still.resolve()
    if (status === 'completed' || status === 'failed') this.#sent.resolve()
  }

  /** The event comes with the answer to `cont`. */
  async ms(): Promise<number> {
    for (const deadline = performance.now() + lateEventMs; this.#began !== null && performance.now() < deadline; )
      await sleep(1)
    this.#end(Date.now())
    return this.#longest
  }

  #end(at: number): void {
    if (this.#began !== null) this.#longest = Math.max(this.#longest, at - this.#began)
    this.#began = null
  }
}
