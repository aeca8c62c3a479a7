// The server's side of the thread that writes memory images (memory-writer.ts).
import { rm } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import type { WriterMessage, WriterTask } from './memory-writer.ts'
import { type Identity, give } from '../process/privileges.ts'
import { problems } from '../problems.ts'

type Stage = Exclude<WriterMessage['kind'], 'failed'>

export class MemoryReceiver {
  readonly #worker: Worker
  readonly #task: WriterTask
  /** Each fulfils when the writer says so, and all fail with it. */
  readonly #stages: Readonly<Record<Stage, PromiseWithResolvers<void>>> = {
    listening: Promise.withResolvers(),
    'caught-up': Promise.withResolvers(),
    received: Promise.withResolvers(),
    written: Promise.withResolvers(),
  }

  private constructor(task: WriterTask, pool: string) {
    this.#task = task
    this.#worker = new Worker(new URL('./memory-writer.ts', import.meta.url), { workerData: task })
    for (const { promise } of Object.values(this.#stages)) promise.catch(() => {}) // whoever waits for it hears of it
    this.#worker.on('message', (message: WriterMessage) => {
      if (message.kind === 'failed') this.#fail(problemOf(message, pool))
      else this.#stages[message.kind].resolve()
    })
    this.#worker.once('error', error => this.#fail(error))
    this.#worker.once('exit', () => this.#fail(problems.memoryNotSent('the writer ended')))
  }

  /** Fulfils when it listens; only `identity` may connect. */
  static async start(task: WriterTask, pool: string, identity: Identity | null): Promise<MemoryReceiver> {
    await rm(task.socket, { force: true })
    const receiver = new MemoryReceiver(task, pool)
    try {
      await receiver.#stages.listening.promise
      await give(task.socket, identity)
      return receiver
    } catch (error) {
      await receiver.close()
      throw error
    }
  }

  /** What came so far is in the files. */
  caughtUp(): Promise<void> {
    this.#worker.postMessage('caught up?')
    return this.#stages['caught-up'].promise
  }

  /** All that QEMU sent is in the files, if not on the disk. */
  get received(): Promise<void> {
    return this.#stages.received.promise
  }

  /** It is on the disk. */
  get written(): Promise<void> {
    return this.#stages.written.promise
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
    await rm(this.#task.socket, { force: true })
  }

  #fail(error: unknown): void {
    for (const each of Object.values(this.#stages)) each.reject(error)
  }
}

function problemOf({ code, message }: { code: string; message: string }, pool: string): Error {
  return code === 'ENOSPC' || code === 'EDQUOT' ? problems.poolFull(pool) : problems.memoryNotSent(message)
}
