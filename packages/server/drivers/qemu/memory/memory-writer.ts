// A thread of its own that takes a machine's memory from QEMU and writes it into the files of a memory image: a gigabyte at a time
// would keep the server from everything else. It listens on a unix socket for one connection, and is told the files.
import { closeSync, fdatasyncSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { createServer } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { type MemorySink, MigrationStream, pageBytes } from './migration-stream.ts'

export interface WriterTask {
  readonly socket: string
  readonly ram: string
  readonly state: string
  readonly block: string
  readonly memoryBytes: number
}

export type WriterMessage =
  | { readonly kind: 'listening' }
  | { readonly kind: 'caught-up' }
  | { readonly kind: 'received' }
  | { readonly kind: 'written' }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }

const runBytes = 2 ** 20
/** Device state has some hundred KiB, and some MiB where a screen has a picture. */
const mostStateBytes = 256 * 2 ** 20

/** Pages that follow each other are written together; zeros are holes, unless something else was there. */
class MemoryFile implements MemorySink {
  readonly #ram: number
  readonly #state: number
  readonly #written: Uint8Array
  readonly #run = Buffer.allocUnsafe(runBytes)
  #runAt = 0
  #runLength = 0
  readonly #kept: Buffer[] = []
  #keptBytes = 0
  #stateBytes = 0

  constructor(ram: number, state: number, memoryBytes: number) {
    this.#ram = ram
    this.#state = state
    this.#written = new Uint8Array(Math.ceil(memoryBytes / pageBytes))
  }

  page(offset: number, bytes: Buffer): void {
    if (offset !== this.#runAt + this.#runLength || this.#runLength === runBytes) {
      this.flush()
      this.#runAt = offset
    }
    bytes.copy(this.#run, this.#runLength)
    this.#runLength += pageBytes
    this.#written[offset / pageBytes] = 1
  }

  zero(offset: number): void {
    if (this.#written[offset / pageBytes] === 1) this.page(offset, zeros)
  }

  keep(bytes: Buffer): void {
    this.#stateBytes += bytes.length
    if (this.#stateBytes > mostStateBytes) throw new Error('The state of the devices has no end')
    this.#kept.push(Buffer.from(bytes)) // a few bytes each, most of the time
    if ((this.#keptBytes += bytes.length) >= runBytes) this.#flushState()
  }

  #flushState(): void {
    if (this.#keptBytes > 0) writeAll(this.#state, Buffer.concat(this.#kept), null)
    this.#kept.length = 0
    this.#keptBytes = 0
  }

  flush(): void {
    if (this.#runLength > 0) writeAll(this.#ram, this.#run.subarray(0, this.#runLength), this.#runAt)
    this.#runLength = 0
  }

  finish(): void {
    this.flush()
    this.#flushState()
  }
}

const zeros = Buffer.alloc(pageBytes)

function writeAll(file: number, bytes: Buffer, at: number | null): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(file, bytes, done, bytes.length - done, at === null ? null : at + done)
}

function receive({ socket, ram, state, block, memoryBytes }: WriterTask, tell: (message: WriterMessage) => void): void {
  const files = [openSync(ram, 'r+'), openSync(state, 'r+')] as const
  ftruncateSync(files[0], memoryBytes)
  const memory = new MemoryFile(...files, memoryBytes)
  const stream = new MigrationStream(block, memoryBytes, memory)
  const fail = (error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    tell({ kind: 'failed', code, message: error instanceof Error ? error.message : String(error) })
  }
  const guarded = (act: () => void) => () => {
    try {
      act()
    } catch (error) {
      fail(error)
    }
  }
  const server = createServer(connection => {
    server.close()
    connection.on('data', (chunk: Buffer) => {
      try {
        stream.push(chunk)
      } catch (error) {
        connection.destroy()
        fail(error)
      }
    })
    connection.once('error', fail)
    connection.once(
      'end',
      guarded(() => {
        if (!stream.complete) throw new Error('The machine ended before its memory was sent')
        memory.finish()
        tell({ kind: 'received' })
        for (const file of files) {
          fdatasyncSync(file)
          closeSync(file)
        }
        tell({ kind: 'written' })
      }),
    )
  })
  // Asked how it goes: what came so far is written, or it has failed.
  parentPort?.on('message', () =>
    setImmediate(
      guarded(() => {
        memory.finish()
        tell({ kind: 'caught-up' })
      }),
    ),
  )
  server.once('error', fail)
  server.listen(socket, () => tell({ kind: 'listening' }))
}

receive(workerData as WriterTask, message => parentPort?.postMessage(message))
