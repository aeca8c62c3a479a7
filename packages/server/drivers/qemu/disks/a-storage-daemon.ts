// For tests: a long-lived storage daemon that has layers open, and reads and writes them by NBD, with no process for each
// operation. It can be killed at any moment, as a machine can.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { Qmp } from '../process/qmp.ts'

export class StorageDaemon {
  readonly qmp: Qmp
  readonly #child: ChildProcess
  readonly #socket: string

  private constructor(child: ChildProcess, qmp: Qmp, socket: string) {
    this.#child = child
    this.qmp = qmp
    this.#socket = socket
  }

  static async start(socket: string): Promise<StorageDaemon> {
    await rm(socket, { force: true })
    const words = ['--chardev', 'socket,id=qmp,fd=3,server=off', '--monitor', 'chardev=qmp']
    const server = ['--nbd-server', `addr.type=unix,addr.path=${socket},max-connections=0`]
    const child = spawn('setpriv', ['--pdeathsig=KILL', '--', 'qemu-storage-daemon', ...words, ...server], {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    })
    const line = child.stdio[3]
    if (!(line instanceof Duplex)) throw new Error('no line to the storage daemon')
    return new StorageDaemon(child, await Qmp.connect(line, () => {}, 10_000), socket)
  }

  /** Opens what a node shows. */
  async open(node: string, writable: boolean): Promise<NbdDisk> {
    await this.#execute('block-export-add', { type: 'nbd', id: node, 'node-name': node, name: node, writable })
    return NbdDisk.connect(this.#socket, node)
  }

  async close(node: string, disk: NbdDisk): Promise<void> {
    const gone = disk.close()
    await this.#execute('block-export-del', { id: node, mode: 'hard' })
    await gone
    while (((await this.#execute('query-block-exports', {})) as { id: string }[]).some(({ id }) => id === node));
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null && this.#child.kill('SIGKILL'))
      await once(this.#child, 'exit')
    this.qmp.close()
  }

  /** Commands of the daemon alone. */
  #execute(command: string, args: object): Promise<unknown> {
    const execute = this.qmp.execute.bind(this.qmp) as unknown as (name: string, args: object) => Promise<unknown>
    return execute(command, args)
  }
}

const requestMagic = 0x25609513
const commands = { read: 0, write: 1, disconnect: 2, flush: 3 } as const

/** A client of the NBD protocol (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md), as far as we need it. */
export class NbdDisk {
  readonly #socket: Socket
  readonly #waiting = new Map<number, { length: number; resolve(bytes: Buffer): void; reject(error: Error): void }>()
  #come: Buffer = Buffer.alloc(0)
  #wanted: { length: number; resolve(bytes: Buffer): void } | null = null
  #last = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => socket.destroy())
    socket.on('data', chunk => {
      this.#come = this.#come.length === 0 ? chunk : Buffer.concat([this.#come, chunk])
      this.#serve()
    })
    socket.once('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the storage daemon is gone'))
    })
  }

  static async connect(path: string, name: string): Promise<NbdDisk> {
    const disk = new NbdDisk(connect(path))
    await disk.#take(18) // magic, IHAVEOPT, flags of the handshake
    const head = Buffer.alloc(20)
    head.writeUInt32BE(3, 0) // fixed newstyle, no zeroes
    head.write('IHAVEOPT', 4, 'latin1')
    head.writeUInt32BE(7, 12) // go
    head.writeUInt32BE(4 + name.length + 2, 16)
    const body = Buffer.alloc(4 + name.length + 2)
    body.writeUInt32BE(name.length, 0)
    body.write(name, 4, 'latin1')
    disk.#socket.write(Buffer.concat([head, body]))
    for (let kind = 0; kind !== 1; ) {
      const reply = await disk.#take(20)
      kind = reply.readUInt32BE(12)
      await disk.#take(reply.readUInt32BE(16))
      if (kind >= 2 ** 31) throw new Error(`no NBD export ${name}`)
    }
    void disk.#hear()
    return disk
  }

  read(offset: number, length: number): Promise<Buffer> {
    return this.#ask(commands.read, offset, length, null)
  }

  /** Fulfils when it is in the file. */
  async write(offset: number, bytes: Buffer): Promise<void> {
    await this.#ask(commands.write, offset, bytes.length, bytes)
    await this.flush()
  }

  async flush(): Promise<void> {
    await this.#ask(commands.flush, 0, 0, null)
  }

  async close(): Promise<void> {
    if (this.#socket.destroyed) return
    this.#socket.destroy()
    await once(this.#socket, 'close')
  }

  #ask(command: number, offset: number, length: number, bytes: Buffer | null): Promise<Buffer> {
    const handle = (this.#last += 1)
    const head = Buffer.alloc(28)
    head.writeUInt32BE(requestMagic, 0)
    head.writeUInt16BE(command, 6)
    head.writeUInt32BE(handle, 12)
    head.writeUInt32BE(offset, 20)
    head.writeUInt32BE(length, 24)
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) reject(new Error('the storage daemon is gone'))
      this.#waiting.set(handle, { length: command === commands.read ? length : 0, resolve, reject })
      this.#socket.write(bytes ? Buffer.concat([head, bytes]) : head)
    })
  }

  async #hear(): Promise<void> {
    for (;;) {
      const head = await this.#take(16)
      const handle = head.readUInt32BE(12)
      const waiter = this.#waiting.get(handle)
      this.#waiting.delete(handle)
      const error = head.readUInt32BE(4)
      if (error === 0) waiter?.resolve(await this.#take(waiter.length))
      else waiter?.reject(new Error(`NBD error ${error}`))
    }
  }

  #take(length: number): Promise<Buffer> {
    return new Promise(resolve => {
      this.#wanted = { length, resolve }
      this.#serve()
    })
  }

  #serve(): void {
    const wanted = this.#wanted
    if (!wanted || this.#come.length < wanted.length) return
    this.#wanted = null
    wanted.resolve(this.#come.subarray(0, wanted.length))
    this.#come = this.#come.subarray(wanted.length)
  }
}
