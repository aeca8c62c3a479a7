// What the server tells on /events, with the time of arrival. Asking for a job's state again and again would measure the
// pause between two questions, and take a processor from the job meanwhile.
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import type { Admin } from '@ramet/client/admin.ts'
import { signed } from '@ramet/client/sign.ts'

export interface Change {
  /** Of performance.now(). */
  readonly at: number
  readonly table: string
  readonly id: string
  readonly state: string
}

const ended = new Set(['done', 'failed', 'cancelled', 'stuck'])

export class LiveEvents {
  readonly #answer: IncomingMessage
  readonly #jobs = new Map<string, Change[]>()
  readonly #waiters = new Map<string, () => void>()

  private constructor(answer: IncomingMessage) {
    this.#answer = answer
    createInterface({ input: answer }).on('line', line => this.#read(line))
  }

  static async open(url: string, keys: Admin): Promise<LiveEvents> {
    const form = signed(new Map([['response', 'json']]), keys, new Date())
    const [answer]: IncomingMessage[] = await once(get(new URL(`/events?${form.toString()}`, url)), 'response')
    if (answer?.statusCode !== 200) throw new Error(`/events was answered with HTTP ${String(answer?.statusCode)}`)
    return new LiveEvents(answer)
  }

  /** All that was told of the job, in its order, once it has ended. */
  async untilEnd(job: string): Promise<readonly Change[]> {
    const isOver = () => this.#jobs.get(job)?.some(({ state }) => ended.has(state))
    if (!isOver()) await new Promise<void>(resolve => this.#waiters.set(job, resolve))
    return this.#jobs.get(job) ?? []
  }

  close(): void {
    this.#answer.destroy()
  }

  #read(line: string): void {
    if (!line.startsWith('data: ')) return
    const change: Change = { at: performance.now(), ...JSON.parse(line.slice('data: '.length)) }
    if (change.table !== 'job') return
    this.#jobs.set(change.id, [...(this.#jobs.get(change.id) ?? []), change])
    if (!ended.has(change.state)) return
    this.#waiters.get(change.id)?.()
    this.#waiters.delete(change.id)
  }
}
