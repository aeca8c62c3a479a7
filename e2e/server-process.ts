// A real server in a process of its own, to be asked, killed and started again.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
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
    env: { ...process.env, ...env },
  })
  child.stderr.pipe(createWriteStream(`${dataDir}.log`, { flags: 'a' }))
  const gone = once(child, 'exit')
  const url = await Promise.race([
    readyLine(child),
    gone.then(([code, signal]) =>
      Promise.reject(new Error(`the server ended at once (${code ?? signal}); see ${dataDir}.log`)),
    ),
  ])
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

async function readyLine(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream }))
    if (line.startsWith('ready ')) return line.slice('ready '.length)
  throw new Error('the server closed its output before it was ready')
}
