// Waits for tasks of the server: one list of all that are under way, followed by one watch, however many there are.
import type { Connection } from './connection.ts'
import { faultFrom, isFault } from './faults.ts'
import { readObject } from './properties.ts'
import type { Ref } from './schema.ts'
import { type Updates, Watch } from './watch.ts'

export interface TaskOptions {
  readonly progress?: (percent: number) => void
  /** Asks the server to give the task up; what was done by then, the fault tells. */
  readonly signal?: AbortSignal
  /** A task that ends well without telling what came of it is asked once more. */
  readonly needsResult?: boolean
}

/** The server has forgotten the task, so nobody knows how it ended: what it was to do must be looked for. */
export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown'
}

type Changes = Readonly<Record<string, unknown>>
type LocalizedFault = Parameters<typeof faultFrom>[0]

interface Waiting {
  readonly options: TaskOptions
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

const paths = ['info.state', 'info.progress', 'info.error', 'info.result']

export class Tasks {
  readonly #connection: Connection
  readonly #waiting = new Map<Ref, Waiting>()
  readonly #listed = new Set<Ref>()
  readonly #watch: Watch
  readonly #patienceMs: number
  #list: Ref | null = null
  /** Since when the server has been out of reach. */
  #silentSince: number | null = null
  #started: Promise<void> | null = null

  constructor(connection: Connection, patienceMs = 5 * 60_000) {
    this.#connection = connection
    this.#patienceMs = patienceMs
    this.#watch = new Watch(connection, {
      prepare: collector => this.#prepare(collector),
      deliver: updates => this.#deliver(updates),
      troubled: () => this.#loseHope(),
    })
  }

  /** The task's result when it has ended well; its fault where not. */
  async ended(task: Ref, options: TaskOptions = {}): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const giveUp = () => void this.#cancel(task)
    const isListed = this.#listed.has(task)
    this.#waiting.set(task, { options, resolve, reject })
    promise.catch(() => {}) // it may end before anybody waits for it
    options.signal?.addEventListener('abort', giveUp, { once: true })
    try {
      await this.#follow()
      if (isListed) await this.#look(task)
      if (options.signal?.aborted) giveUp()
      return await promise
    } finally {
      options.signal?.removeEventListener('abort', giveUp)
      this.#waiting.delete(task)
    }
  }

  async close(): Promise<void> {
    if (this.#started) await this.#watch.stop()
    for (const { reject } of this.#waiting.values())
      reject(new OutcomeUnknown('The connection to the server was closed'))
  }

  /** The first task starts the watch with itself on the list; later ones are put on it. */
  async #follow(): Promise<void> {
    if (this.#started) {
      await this.#started
      return this.#listThem()
    }
    this.#started = this.#watch.start()
    this.#started.catch(() => (this.#started = null))
    await this.#started
  }

  /** A task on the list was told of already, when somebody else waited for it. */
  async #look(task: Ref): Promise<void> {
    try {
      const states = ['info.state', 'info.result', 'info.error'] as const
      this.#report(task, await readObject(this.#connection, task as Ref<'Task'>, states))
    } catch (error) {
      if (!isFault(error, 'ManagedObjectNotFound')) throw error
      this.#forgotten(task)
    }
  }

  async #prepare(collector: Ref): Promise<void> {
    this.#list = null
    const { viewManager } = this.#connection.content
    if (viewManager === undefined) throw new Error('the server has no ViewManager')
    const list = await this.#connection.call(viewManager, 'CreateListView', { obj: [] })
    const traverse = { is: 'TraversalSpec', type: 'ListView', path: 'view', skip: false } as const
    const spec = {
      propSet: [{ type: 'Task', pathSet: paths }],
      objectSet: [{ obj: list, skip: true, selectSet: [traverse] }],
    }
    await this.#connection.call(collector, 'CreateFilter', { spec, partialUpdates: false })
    this.#list = list
    this.#listed.clear()
    await this.#listThem()
  }

  /** Puts on the list what waits and is not there, and takes off what has ended. */
  async #listThem(): Promise<void> {
    const list = this.#list
    if (!list) return // the watch begins anew, and lists all that wait
    const add = [...this.#waiting.keys()].filter(task => !this.#listed.has(task))
    const remove = [...this.#listed].filter(task => !this.#waiting.has(task))
    for (const task of add) this.#listed.add(task)
    for (const task of remove) this.#listed.delete(task)
    if (add.length === 0) return
    try {
      const unknown = await this.#connection.call(list, 'ModifyListView', { add, remove })
      for (const each of unknown ?? []) this.#forgotten(each)
    } catch (error) {
      if (!isFault(error, 'ManagedObjectNotFound')) throw error // a list of an ended session: see above
    }
  }

  /** A server that stays away, or lets nobody in, tells no ends any more. */
  #loseHope(): void {
    this.#silentSince ??= Date.now()
    if (Date.now() - this.#silentSince < this.#patienceMs) return
    for (const { reject } of this.#waiting.values())
      reject(new OutcomeUnknown('The server has been out of reach for too long'))
  }

  #deliver(updates: Updates): void {
    this.#silentSince = null
    for (const { obj, kind, changeSet = [] } of updates)
      if (kind === 'leave') this.#forgotten(obj)
      else this.#report(obj, Object.fromEntries(changeSet.map(({ name, val }) => [name, val])))
  }

  #report(task: Ref, changes: Changes): void {
    const waiting = this.#waiting.get(task)
    if (!waiting) return
    const percent = changes['info.progress']
    if (typeof percent === 'number') waiting.options.progress?.(percent)
    const state = changes['info.state']
    if (state === 'success' || state === 'error') void this.#settle(task, waiting, state, changes)
  }

  /** The end of a task may be told before what came of it. */
  async #settle(task: Ref, waiting: Waiting, state: string, changes: Changes): Promise<void> {
    const { options, resolve, reject } = waiting
    try {
      const told = changes['info.result'] ?? changes['info.error']
      const enough = told !== undefined || (state === 'success' && options.needsResult !== true)
      const end = enough ? changes : await this.#readEnd(task)
      if (state === 'success') return resolve(end['info.result'])
      reject(faultFrom((end['info.error'] ?? { fault: { is: 'MethodFault' } }) as LocalizedFault))
    } catch (error) {
      reject(error)
    }
  }

  async #readEnd(task: Ref): Promise<Changes> {
    return await readObject(this.#connection, task as Ref<'Task'>, ['info.result', 'info.error'])
  }

  #forgotten(task: Ref): void {
    this.#waiting.get(task)?.reject(new OutcomeUnknown(`The server no longer knows how ${task} ended`))
  }

  async #cancel(task: Ref): Promise<void> {
    await this.#connection.call(task, 'CancelTask', {}).catch(() => {}) // it has ended, or cannot be cancelled
  }
}
