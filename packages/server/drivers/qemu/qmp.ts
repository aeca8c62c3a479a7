// QEMU's monitor protocol (docs/interop/qmp-spec.txt in QEMU): a greeting, a handshake, then commands whose replies carry
// our ids, and events in between.
import { openJsonSocket } from './json-socket.ts'
import type { JsonSocket, Message } from './json-socket.ts'
import { problems } from './problems.ts'

/** The commands that we use: arguments and results, as `qapi/*.json` of QEMU 7.2 has them. */
export interface QmpCommands {
  qmp_capabilities: { args: Record<never, never>; result: unknown }
  'query-status': { args: Record<never, never>; result: { status: string; running: boolean } }
  'query-cpus-fast': { args: Record<never, never>; result: { 'cpu-index': number; 'thread-id': number }[] }
  system_powerdown: { args: Record<never, never>; result: unknown }
  system_reset: { args: Record<never, never>; result: unknown }
  cont: { args: Record<never, never>; result: unknown }
  stop: { args: Record<never, never>; result: unknown }
  quit: { args: Record<never, never>; result: unknown }
}

export interface QmpEvent {
  readonly event: string
  readonly data: Message
}

interface Waiter {
  resolve(result: unknown): void
  reject(error: Error): void
}

const answerLimitMs = 15_000

export class Qmp {
  readonly #socket: JsonSocket
  readonly #waiters: Map<number, Waiter>
  #lastId = 0

  private constructor(socket: JsonSocket, waiters: Map<number, Waiter>) {
    this.#socket = socket
    this.#waiters = waiters
    void socket.closed.then(() => {
      for (const waiter of waiters.values())
        waiter.reject(problems.monitorSilent('on its monitor: the connection ended'))
      waiters.clear()
    })
  }

  /** Fulfils after greeting and handshake; `limitMs` is for a QEMU that listens and never gets to answering. */
  static async connect(path: string, onEvent: (event: QmpEvent) => void, limitMs: number): Promise<Qmp> {
    const waiters = new Map<number, Waiter>()
    const greeted = Promise.withResolvers<void>()
    const socket = await openJsonSocket(path, message => {
      if ('QMP' in message) greeted.resolve()
      else if (typeof message['event'] === 'string')
        onEvent({ event: message['event'], data: (message['data'] ?? {}) as Message })
      else answer(waiters, message)
    })
    const timer = setTimeout(() => socket.close(), limitMs)
    try {
      const gone = socket.closed.then(() => Promise.reject(problems.monitorSilent('on its monitor')))
      await Promise.race([greeted.promise, gone])
      const qmp = new Qmp(socket, waiters)
      await qmp.execute('qmp_capabilities')
      return qmp
    } finally {
      clearTimeout(timer)
    }
  }

  get closed(): Promise<void> {
    return this.#socket.closed
  }

  execute<C extends keyof QmpCommands>(
    command: C,
    args?: QmpCommands[C]['args'],
    limitMs = answerLimitMs,
  ): Promise<QmpCommands[C]['result']> {
    const id = (this.#lastId += 1)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(id)
        reject(problems.monitorSilent(`${command} within ${limitMs / 1000} s`))
      }, limitMs)
      this.#waiters.set(id, {
        resolve: result => (clearTimeout(timer), resolve(result as QmpCommands[C]['result'])),
        reject: error => (clearTimeout(timer), reject(error)),
      })
      this.#socket.send(`${JSON.stringify({ execute: command, arguments: args, id })}\n`)
      void this.#socket.closed.then(() => this.#waiters.get(id)?.reject(problems.monitorSilent(command)))
    })
  }

  close(): void {
    this.#socket.close()
  }
}

function answer(waiters: Map<number, Waiter>, message: Message): void {
  const id = Number(message['id'])
  const waiter = waiters.get(id)
  if (!waiter) return
  waiters.delete(id)
  const error = message['error'] as { desc?: unknown } | undefined
  if (error) waiter.reject(problems.monitorRefused('a command', String(error.desc)))
  else waiter.resolve(message['return'])
}
