// Follows objects as the server reports changes (WaitForUpdatesEx), instead of asking again and again. A watch has a property
// collector of its own; collectors, views and filters belong to a session, so they are made anew in a new one, and then everything
// is told again as the first time.
import type { Connection } from './connection.ts'
import { isFault } from './faults.ts'
import type { Data, Ref } from './schema.ts'

export type Updates = readonly Data<'ObjectUpdate'>[]

export interface Watcher {
  /** Makes the filters of the collector. */
  prepare(collector: Ref): Promise<void>
  /** What has changed; with `fresh`, all there is, and what is not told of is gone. */
  deliver(updates: Updates, fresh: boolean): void
  /** The server is out of reach, or refuses; the watch goes on trying. */
  troubled?(error: unknown): void
}

/** A server answers after this long even if nothing has changed; the call itself may take longer. */
const maxWaitSeconds = 60
const longestPauseMs = 30_000

export class Watch {
  readonly #connection: Connection
  readonly #watcher: Watcher
  readonly #mostAtOnce: number | undefined
  readonly #stop = new AbortController()
  #collector: Ref | null = null
  #ended: Promise<void> = Promise.resolve()
  #waiting = new AbortController()

  /** A server tells of `mostAtOnce` objects in one answer, or of as many as it likes. */
  constructor(connection: Connection, watcher: Watcher, mostAtOnce?: number) {
    this.#connection = connection
    this.#watcher = watcher
    this.#mostAtOnce = mostAtOnce
  }

  /** Fulfils when everything was told once; fails when that is not possible. */
  async start(): Promise<void> {
    const collector = await this.#prepare()
    const { version } = await this.#tellAll(collector)
    const forget = this.#connection.onRenewed(() => this.#waiting.abort(new NewSession()))
    this.#ended = this.#follow(collector, version).finally(forget)
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the watch has ended'))
    await this.#ended
    const collector = this.#collector
    if (!collector) return
    // not waited for: it goes with its session at the latest, and a server that has not seen that nobody waits answers late
    void this.#connection.call(collector, 'DestroyPropertyCollector', {}, { limitMs: 5000 }).catch(() => {})
  }

  async #prepare(): Promise<Ref> {
    const parent = this.#connection.content.propertyCollector
    const collector = await this.#connection.call(parent, 'CreatePropertyCollector', {})
    this.#collector = collector
    await this.#watcher.prepare(collector)
    return collector
  }

  /** Everything there is may come in several parts; it is told as one, so that what is missing in it is known to be gone. */
  async #tellAll(collector: Ref): Promise<{ version: string }> {
    const all: Data<'ObjectUpdate'>[] = []
    for (let version = ''; ; ) {
      const set = await this.#wait(collector, version, 0)
      all.push(...updatesOf(set))
      version = set?.version ?? version
      if (set?.truncated === true) continue
      this.#watcher.deliver(all, true)
      return { version }
    }
  }

  async #follow(first: Ref, begin: string): Promise<void> {
    let [collector, version, pause]: [Ref | null, string, number] = [first, begin, 0]
    while (!this.#stop.signal.aborted) {
      try {
        if (collector === null) {
          collector = await this.#prepare()
          version = (await this.#tellAll(collector)).version
        }
        const set = await this.#wait(collector, version, maxWaitSeconds)
        pause = 0
        version = set?.version ?? version
        const updates = updatesOf(set)
        if (updates.length > 0) this.#watcher.deliver(updates, false)
      } catch (error) {
        if (this.#stop.signal.aborted) return
        collector = null
        const ours = error instanceof NewSession || isFault(error, 'ManagedObjectNotFound', 'InvalidCollectorVersion')
        if (!ours) this.#watcher.troubled?.(error)
        if (!ours || pause > 0) await rest(pause, this.#stop.signal)
        pause = Math.min(pause * 2 + 100, longestPauseMs)
      }
    }
  }

  #wait(collector: Ref, version: string, seconds: number) {
    const parameters = { version, options: { maxWaitSeconds: seconds, maxObjectUpdates: this.#mostAtOnce } }
    if (this.#waiting.signal.aborted) this.#waiting = new AbortController()
    const signal = AbortSignal.any([this.#stop.signal, this.#waiting.signal])
    const options = { signal, limitMs: (seconds + 60) * 1000 }
    return this.#connection.call(collector, 'WaitForUpdatesEx', parameters, options)
  }
}

/** What the watch waits with is of an ended session. */
class NewSession extends Error {}

function updatesOf(set: Data<'UpdateSet'> | undefined): Updates {
  return (set?.filterSet ?? []).flatMap(({ objectSet = [] }) => objectSet)
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  if (ms === 0 || signal.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  signal.addEventListener('abort', () => resolve(), { once: true })
  await promise
  clearTimeout(timer)
}
