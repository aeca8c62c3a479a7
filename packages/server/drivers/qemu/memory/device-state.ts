// The state of a machine's devices without its memory: some hundred KiB, in some ten milliseconds, however much memory there is. Only of a
// machine whose memory is a file that others can map (x-ignore-shared): QEMU leaves that out. The stream is changed into one that
// whoever has the memory loads (migration-stream.ts).
import { rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Machine } from '../machines/machine.ts'
import { MigrationStream } from './migration-stream.ts'
import { type Identity, give } from '../process/privileges.ts'
import { problems } from '../problems.ts'
import type { Qmp } from '../process/qmp.ts'

/** What `-object memory-backend-file,id=ram` is called in the stream. */
export const mainMemory = 'ram'
/** A screen with a picture has some MiB. */
const mostBytes = 256 * 2 ** 20
const limitMs = 30_000

/** A migration has these capabilities and no other of those that we use. */
export async function chooseCapabilities(qmp: Qmp, chosen: readonly string[]): Promise<void> {
  const capabilities = ['pause-before-switchover', 'x-ignore-shared', 'events']
  await qmp.execute('migrate-set-capabilities', {
    capabilities: capabilities.map(capability => ({ capability, state: chosen.includes(capability) })),
  })
}

/** Takes the state from QEMU as soon as it is sent. */
export class DeviceState {
  readonly #machine: Machine
  readonly #server: Server
  readonly #state = Promise.withResolvers<Buffer>()

  private constructor(machine: Machine, memoryBytes: number) {
    this.#machine = machine
    this.#state.promise.catch(() => {}) // whoever takes it hears of it
    this.#server = createServer(connection => {
      this.#server.close()
      this.#receive(connection, memoryBytes)
    })
  }

  /** All that can be done while the machine runs. Only `identity` may send. */
  static async prepare(machine: Machine, memoryBytes: number, identity: Identity | null): Promise<DeviceState> {
    const path = machine.found.folder.memory
    await rm(path, { force: true })
    const state = new DeviceState(machine, memoryBytes)
    await new Promise<void>((resolve, reject) => state.#server.once('error', reject).listen(path, resolve))
    await give(path, identity)
    await chooseCapabilities(await machine.monitor(), ['x-ignore-shared', 'events'])
    return state
  }

  /** Stops the machine. Fulfils when it has let go of its disks, and nothing of it changes any more. */
  async take(): Promise<Buffer> {
    const qmp = await this.#machine.monitor()
    await qmp.execute('stop')
    await qmp.execute('migrate', { uri: `unix:${this.#machine.found.folder.memory}` })
    const late = new AbortController()
    const silent = sleep(limitMs, null, { signal: late.signal }).then(() => {
      throw problems.memoryNotSent(`the state of its devices did not come within ${limitMs / 1000} s`)
    })
    silent.catch(() => {})
    const state = await Promise.race([this.#state.promise, silent, this.#failed(qmp)]).finally(() => late.abort())
    await sent(qmp)
    return state
  }

  async close(): Promise<void> {
    this.#server.close()
    await rm(this.#machine.found.folder.memory, { force: true })
  }

  #receive(connection: Socket, memoryBytes: number): void {
    const kept: Buffer[] = []
    let bytes = 0
    const stream = new MigrationStream(mainMemory, memoryBytes, {
      page: () => fail(new Error('Pages of the memory came with the state of the devices')),
      zero: () => fail(new Error('Pages of the memory came with the state of the devices')),
      keep: piece => {
        if ((bytes += piece.length) > mostBytes) fail(new Error('The state of the devices has no end'))
        kept.push(Buffer.from(piece))
      },
    })
    const fail = (error: unknown) => {
      this.#state.reject(problems.memoryNotSent(error instanceof Error ? error.message : String(error)))
      connection.destroy()
    }
    connection.on('error', fail)
    connection.on('data', (chunk: Buffer) => {
      try {
        stream.push(chunk)
      } catch (error) {
        fail(error)
      }
    })
    connection.once('end', () =>
      stream.complete ? this.#state.resolve(Buffer.concat(kept)) : fail(new Error('it ended too early')),
    )
  }

  /** Never fulfils; rejects when QEMU gave up before it sent anything, or ended. */
  async #failed(qmp: Qmp): Promise<never> {
    await qmp.closed
    throw problems.monitorSilent('any more: it ended')
  }
}

/** QEMU lets go of the disks before it sends the end, and says that it is done a moment later. */
async function sent(qmp: Qmp): Promise<void> {
  for (const deadline = performance.now() + limitMs; performance.now() < deadline; await sleep(1)) {
    const { status, 'error-desc': why } = await qmp.execute('query-migrate')
    if (status === 'completed') return
    if (status === 'failed' || status === 'cancelled') throw problems.memoryNotSent(why ?? `its migration is ${status}`)
  }
  throw problems.memoryNotSent('its migration has no end')
}
