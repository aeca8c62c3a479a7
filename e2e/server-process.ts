// A real server in a process of its own, to be asked, killed and started again.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { readAdmin } from '@ramet/client/admin.ts'
import { type Client, createClient } from '@ramet/client/client.ts'

export interface ServerProcess {
  readonly url: string
  readonly client: Client
  readonly child: ChildProcess
  /** Sends the signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<void>
}

const main = fileURLToPath(import.meta.resolve('@ramet/server/main.ts'))

/** Starts a server on the data directory and waits for its `ready` line; its log goes to DIR.log. */
export async function startServer(
  dataDir: string,
  env: Record<string, string> = {},
  args: readonly string[] = [],
): Promise<ServerProcess> {
  const child = spawn(process.execPath, [main, '--data-dir', dataDir, '--listen', '127.0.0.1:0', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Servers of one run share what Node compiled: a start takes half the time.
    env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'ramet-compile-cache'), ...env },
  })
  const complaint = tailOf(child.stderr)
  child.stderr.pipe(createWriteStream(`${dataDir}.log`, { flags: 'a' }))
  const gone = once(child, 'exit')
  const url = await readyLine(child)
  if (!url) throw new Error(`the server did not start: ${complaint()}`)
  return {
    url,
    client: createClient({ ...(await readAdmin(dataDir)), url }),
    child,
    async end(signal) {
      child.kill(signal)
      await gone
    },
  }
}

/** The address of the server; undefined when it ended instead. */
async function readyLine(child: ChildProcess): Promise<string | undefined> {
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream }))
    if (line.startsWith('ready ')) return line.slice('ready '.length)
  return undefined
}

/** The last thing that came, whenever it is asked for. */
function tailOf(stream: NodeJS.ReadableStream): () => string {
  let tail = ''
  stream.on('data', chunk => {
    tail = `${tail}${chunk}`.slice(-2000)
  })
  return () => tail.trim()
}
