// QEMU's monitor protocol (docs/interop/qmp-spec.txt in QEMU): a greeting, a handshake, then commands whose replies carry
// our ids, and events in between.
import type { Duplex } from 'node:stream'
import { asMessage, openJsonSocket } from './json-socket.ts'
import type { JsonSocket, Message } from './json-socket.ts'
import type { BlockNode } from '../disks/blockdev.ts'
import { problems } from '../problems.ts'

type NoArguments = Readonly<Record<string, never>>

/** The commands that we use: arguments and results, as `qapi/*.json` of QEMU 7.2 has them. */
export interface QmpCommands {
  qmp_capabilities: { args: NoArguments; result: unknown }
  'query-status': { args: NoArguments; result: { status: string; running: boolean } }
  'query-cpus-fast': { args: NoArguments; result: { 'cpu-index': number; 'thread-id': number }[] }
  system_powerdown: { args: NoArguments; result: unknown }
  system_reset: { args: NoArguments; result: unknown }
  cont: { args: NoArguments; result: unknown }
  stop: { args: NoArguments; result: unknown }
  quit: { args: NoArguments; result: unknown }
  'blockdev-add': { args: BlockNode; result: unknown }
  'blockdev-del': { args: { 'node-name': string }; result: unknown }
  block_resize: { args: { 'node-name': string; size: number }; result: unknown }
  device_add: { args: Readonly<Record<string, unknown>>; result: unknown }
  device_del: { args: { id: string }; result: unknown }
  netdev_add: { args: Readonly<Record<string, unknown>>; result: unknown }
  netdev_del: { args: { id: string }; result: unknown }
  set_link: { args: { name: string; up: boolean }; result: unknown }
  'qom-list': { args: { path: string }; result: { name: string; type: string }[] }
  'query-block': {
    args: NoArguments
    result: { qdev?: string; tray_open?: boolean; inserted?: { 'node-name'?: string } }[]
  }
  'blockdev-open-tray': { args: { id: string; force: boolean }; result: unknown }
  'blockdev-close-tray': { args: { id: string }; result: unknown }
  'blockdev-remove-medium': { args: { id: string }; result: unknown }
  'blockdev-insert-medium': { args: { id: string; 'node-name': string }; result: unknown }
  'query-named-block-nodes': {
    args: { flat: boolean }
    result: { 'node-name': string; drv: string; file: string; image: { 'virtual-size': number } }[]
  }
  'query-version': { args: NoArguments; result: { qemu: { major: number; minor: number; micro: number } } }
  'query-memory-size-summary': { args: NoArguments; result: { 'base-memory': number } }
  'query-vm-generation-id': { args: NoArguments; result: { guid: string } }
  'query-kvm': { args: NoArguments; result: { enabled: boolean } }
  'qom-set': { args: { path: string; property: string; value: string }; result: unknown }
  'qom-get': { args: { path: string; property: string }; result: unknown }
  transaction: {
    args: { actions: { type: 'blockdev-snapshot'; data: { node: string; overlay: string } }[] }
    result: unknown
  }
  'query-migrate-capabilities': { args: NoArguments; result: { capability: string; state: boolean }[] }
  'migrate-set-capabilities': { args: { capabilities: { capability: string; state: boolean }[] }; result: unknown }
  'migrate-set-parameters': { args: { 'max-bandwidth'?: number; 'downtime-limit'?: number }; result: unknown }
  migrate: { args: { uri: string }; result: unknown }
  'migrate-continue': { args: { state: 'pre-switchover' }; result: unknown }
  migrate_cancel: { args: NoArguments; result: unknown }
  'query-migrate': { args: NoArguments; result: MigrationInfo }
  'block-stream': {
    args: {
      'job-id': string
      device: string
      'base-node'?: string
      'backing-file'?: string
      speed?: number
      'filter-node-name': string
      'auto-dismiss': boolean
    }
    result: unknown
  }
  'query-jobs': { args: NoArguments; result: JobInfo[] }
  'job-cancel': { args: { id: string }; result: unknown }
  'job-dismiss': { args: { id: string }; result: unknown }
  'human-monitor-command': { args: { 'command-line': string }; result: string }
}

export interface MigrationInfo {
  readonly status?: string
  readonly 'error-desc'?: string
  readonly ram?: { total: number; remaining: number; transferred: number; 'dirty-sync-count': number }
}

export interface JobInfo {
  readonly id: string
  readonly status: string
  readonly 'current-progress': number
  readonly 'total-progress': number
  readonly error?: string
}

export interface QmpEvent {
  readonly event: string
  /** In ms, by the host's clock. */
  readonly at: number
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
  #ended = false

  private constructor(socket: JsonSocket, waiters: Map<number, Waiter>) {
    this.#socket = socket
    this.#waiters = waiters
    void socket.closed.then(() => this.#end())
  }

  #end(): void {
    this.#ended = true
    for (const waiter of this.#waiters.values()) waiter.reject(silent())
    this.#waiters.clear()
  }

  /** Fulfils after the handshake; `limitMs` is for a QEMU that listens and never gets to answering. */
  static async connect(at: string | Duplex, onEvent: (event: QmpEvent) => void, limitMs: number): Promise<Qmp> {
    const waiters = new Map<number, Waiter>()
    const greeted = Promise.withResolvers<boolean>()
    const socket = await openJsonSocket(at, message => {
      if ('QMP' in message) greeted.resolve(true)
      else if (typeof message['event'] === 'string')
        onEvent({ event: message['event'], at: timeOf(message), data: asMessage(message['data']) })
      else answer(waiters, message)
    })
    const qmp = new Qmp(socket, waiters)
    const timer = setTimeout(() => qmp.close(), limitMs)
    try {
      // The greeting comes from a thread of the monitor's own, long before the machine is made. The reply comes after.
      if (!(await Promise.race([greeted.promise, socket.closed]))) throw silent()
      await qmp.execute('qmp_capabilities', {}, limitMs)
      return qmp
    } catch (error) {
      qmp.close()
      throw error
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
    if (this.#ended) return Promise.reject(silent())
    const id = (this.#lastId += 1)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(id)
        reject(problems.monitorHangs(command, limitMs / 1000))
      }, limitMs)
      this.#waiters.set(id, {
        resolve: result => {
          clearTimeout(timer)
          resolve(result)
        },
        reject: error => {
          clearTimeout(timer)
          reject(error)
        },
      })
      this.#socket.send(`${JSON.stringify({ execute: command, arguments: args, id })}\n`)
    })
  }

  close(): void {
    this.#socket.close()
  }
}

function timeOf(message: Message): number {
  const { seconds, microseconds } = asMessage(message['timestamp'])
  return Number(seconds) * 1000 + Number(microseconds) / 1000
}

function answer(waiters: Map<number, Waiter>, message: Message): void {
  const id = Number(message['id'])
  const waiter = waiters.get(id)
  if (!waiter) return
  waiters.delete(id)
  if ('error' in message) waiter.reject(problems.monitorRefused(String(asMessage(message['error'])['desc'])))
  else waiter.resolve(message['return'])
}

function silent() {
  return problems.monitorSilent('on its monitor: the connection ended')
}
