// The guest agent's client. It stays connected for the machine's life: an agent whose port nobody holds on the host polls
// ten times a second (1.9 % of a core per machine instead of 0.5 %). The agent may be absent, booting, or gone, so nothing here
// waits for long, and replies to questions asked before are told apart by guest-sync-delimited
// (https://qemu.readthedocs.io/en/v7.2.0/interop/qemu-ga-ref.html).
import { asMessage, openJsonSocket } from '../process/json-socket.ts'
import type { JsonSocket, Message } from '../process/json-socket.ts'
import { problems } from '../problems.ts'
import { Turns } from '../machines/turns.ts'

/** After this a question counts as lost: a reset guest forgets what its port held. */
const lostAfterMs = 5000

export class GuestAgent {
  readonly #socket: JsonSocket
  readonly #turns = new Turns<'command'>()
  #reply: ((message: Message) => void) | null = null
  #asked: { id: number; at: number; answered: Promise<void>; answer(): void } | null = null
  #lastId = Math.floor(Math.random() * 2 ** 30)

  private constructor(socket: JsonSocket) {
    this.#socket = socket
    void this.#sync()
  }

  static async connect(path: string): Promise<GuestAgent> {
    const agent: GuestAgent = new GuestAgent(await openJsonSocket(path, message => agent.#receive(message)))
    return agent
  }

  /** True when the agent answers within `limitMs`. */
  async ping(limitMs: number): Promise<boolean> {
    const late = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => late.resolve(false), limitMs)
    try {
      return await Promise.race([this.#sync().then(() => true), this.#socket.closed.then(() => false), late.promise])
    } finally {
      clearTimeout(timer)
    }
  }

  /** What the agent answers to a command; null when it does not in time, or at all. Its refusal is a Problem. */
  command(name: string, args: object, limitMs: number): Promise<{ readonly value: unknown } | null> {
    return this.#turns.take('command', async () => {
      const deadline = performance.now() + limitMs
      if (!(await this.ping(limitMs))) return null
      const reply = Promise.withResolvers<Message | null>()
      const timer = setTimeout(() => reply.resolve(null), Math.max(1, deadline - performance.now()))
      this.#reply = message => reply.resolve(message)
      void this.#socket.closed.then(() => reply.resolve(null))
      this.#send(name, args, '') // it answers a stray byte with an error, which would pass for the reply
      const message = await reply.promise.finally(() => {
        clearTimeout(timer)
        this.#reply = null
      })
      if (message && 'error' in message)
        throw problems.agentRefused(name, String(asMessage(message['error'])['desc']).slice(0, 200))
      return message && { value: message['return'] }
    })
  }

  /** Asks the guest's system to shut down, if its agent answers. There is no reply: the machine ends. */
  async shutdown(limitMs: number): Promise<boolean> {
    if (!(await this.ping(limitMs))) return false
    this.#send('guest-shutdown', { mode: 'powerdown' })
    return true
  }

  close(): void {
    this.#socket.close()
  }

  /** One question at a time: a guest without an agent must not collect a heap of them. */
  #sync(): Promise<void> {
    if (!this.#asked || performance.now() - this.#asked.at > lostAfterMs) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#asked = { id: (this.#lastId += 1), at: performance.now(), answered: promise, answer: resolve }
      this.#send('guest-sync-delimited', { id: this.#asked.id })
    }
    return this.#asked.answered
  }

  #receive(message: Message): void {
    if (!this.#asked || message['return'] !== this.#asked.id) return this.#reply?.(message)
    this.#asked.answer()
    this.#asked = null
  }

  /** 0xFF makes the agent forget half a command that came before. */
  #send(command: string, args: object, before = '\xff'): void {
    this.#socket.send(`${before}${JSON.stringify({ execute: command, arguments: args })}\n`)
  }
}
