// The memory of a running machine as a memory image. QEMU sends it while the guest runs, and sends again what the guest wrote
// meanwhile; when little is left it stops the machine, and we have the disks cut at that instant. Then come the last pages and
// the state of the devices, and the guest goes on. So it stands still for what it writes in an instant, not for all its memory, and a
// pool that is too full is noticed before anything was cut. How its memory is mapped does not matter.
import { setTimeout as sleep } from 'node:timers/promises'
import type { MemoryImageFacts, MemoryImageRef, Progress } from '../driver.ts'
import type { Machine } from './machine.ts'
import { beginImage, discardImage, publishImage } from './memory-files.ts'
import { MemoryReceiver } from './memory-receiver.ts'
import type { Identity } from './privileges.ts'
import { problems } from './problems.ts'
import type { Qmp, QmpEvent } from './qmp.ts'
import { shapeOf } from './shape.ts'

/** What `-object memory-backend-file,id=ram` is called in the stream. */
const mainMemory = 'ram'
const noLimit = 2 ** 40
/** After so many rounds a guest writes faster than is sent, and must stand still longer; in ms, as QEMU estimates it. */
const patience = [
  { rounds: 0, stunMs: 20 },
  { rounds: 6, stunMs: 150 },
  { rounds: 12, stunMs: 500 },
  { rounds: 20, stunMs: 60_000 },
] as const
const lookEveryMs = 25
const lastPartLimitMs = 120_000
const lateEventMs = 1000

interface Saved {
  readonly stunMs: number
  readonly memory: MemoryImageFacts
}

/** `cut` is called at the instant that the memory is of. Whatever fails, the machine runs on and no image is left. */
export async function saveMemory(
  machine: Machine,
  image: MemoryImageRef,
  quiesced: boolean,
  identity: Identity | null,
  cut: () => Promise<void>,
  progress: Progress,
  signal: AbortSignal,
): Promise<Saved> {
  const qmp = await machine.monitor()
  const { running, status } = await qmp.execute('query-status')
  if (!running) throw problems.machinePaused(status)
  const shape = await shapeOf(machine)
  try {
    const { ram, state } = await beginImage(image, identity)
    const memoryBytes = shape.memoryMib * 2 ** 20
    const task = { socket: machine.found.folder.memory, ram, state, block: mainMemory, memoryBytes }
    const receiver = await MemoryReceiver.start(task, image.pool.path, identity)
    try {
      const stunMs = await send(machine, qmp, receiver, cut, progress, signal)
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
): Promise<number> {
  const stun = new Stun()
  const unheard = machine.hear(event => stun.hear(event))
  try {
    await qmp.execute('migrate-set-capabilities', {
      capabilities: ['pause-before-switchover', 'events'].map(capability => ({ capability, state: true })),
    })
    await qmp.execute('migrate-set-parameters', { 'max-bandwidth': noLimit, 'downtime-limit': patience[0].stunMs })
    await qmp.execute('migrate', { uri: `unix:${machine.found.folder.memory}` })
    await untilStill(qmp, stun, progress, signal)
    await receiver.caughtUp() // a full pool is noticed before anything is cut
    await cut()
    await qmp.execute('migrate-continue', { state: 'pre-switchover' })
    await untilSent(qmp, stun)
    await receiver.received
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

/** Fulfils when the machine stands still, with all memory sent but what was written last. */
async function untilStill(qmp: Qmp, stun: Stun, progress: Progress, signal: AbortSignal): Promise<void> {
  let limit: number = patience[0].stunMs
  for (;;) {
    signal.throwIfAborted()
    const { status, ram, 'error-desc': why } = await qmp.execute('query-migrate')
    if (status === 'pre-switchover') return
    if (status === 'failed' || status === 'cancelled' || status === 'completed')
      throw problems.memoryNotSent(why ?? `its migration is ${status}`)
    if (ram) {
      const rounds = ram['dirty-sync-count']
      if (rounds <= 1 && ram.total > 0) progress(Math.min(90, (90 * (ram.total - ram.remaining)) / ram.total))
      const wanted = patience.findLast(each => rounds >= each.rounds)?.stunMs ?? limit
      if (wanted !== limit) await qmp.execute('migrate-set-parameters', { 'downtime-limit': (limit = wanted) })
    }
    await Promise.race([stun.still, sleep(lookEveryMs)])
  }
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
    } else if (standing.has(status)) await qmp.execute('cont')
    else return
  }
}

/** When the machine stood still and when it ran again, as QEMU noted it. */
class Stun {
  readonly #still = Promise.withResolvers<void>()
  readonly #sent = Promise.withResolvers<void>()
  readonly #over = Promise.withResolvers<number>()
  #began = 0

  get still(): Promise<void> {
    return this.#still.promise
  }

  get sent(): Promise<void> {
    return this.#sent.promise
  }

  hear({ event, at, data }: QmpEvent): void {
    if (event === 'STOP') this.#began = at
    if (event === 'RESUME') this.#over.resolve(at - this.#began)
    const status = event === 'MIGRATION' ? data['status'] : null
    if (status === 'pre-switchover') this.#still.resolve()
    if (status === 'completed' || status === 'failed') this.#sent.resolve()
  }

  /** The event comes with the answer to `cont`. */
  async ms(): Promise<number> {
    return Promise.race([this.#over.promise, sleep(lateEventMs).then(() => Date.now() - this.#began)])
  }
}
