// What the tests of this folder share: scratch directories, real servers to kill, and waiting for what is to happen.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { Client, type QueryResultRow } from 'pg'
import { type Installation, installations } from '../installation.ts'
import { type EmbeddedPostgres, startPostgres } from '../start-postgres.ts'

const found = await installations()

/** Both kinds of binaries; one that this machine lacks comes with the reason to skip its tests. */
export const kinds = (['system', 'npm'] as const).map(kind => ({
  kind,
  skip: found.some(installation => installation.kind === kind) ? false : `no PostgreSQL of kind "${kind}" here`,
}))

export async function scratchDirectory(): Promise<{ directory: string; remove(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'pgtest-'))
  return { directory, remove: () => rm(directory, { recursive: true, force: true, maxRetries: 20 }) }
}

export async function start(directory: string, binaries?: Installation['kind']): Promise<EmbeddedPostgres> {
  return startPostgres({ directory, binaries, log: () => {} })
}

export async function query<R extends QueryResultRow>({ url }: { url: string }, sql: string): Promise<R[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<R>(sql)).rows
  } finally {
    await client.end()
  }
}

/** Asks until the answer is yes. The limit is for a test that fails; one that passes never waits for a time. */
export async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`)
    await delay(2)
  }
}

export interface Server {
  readonly process: ChildProcess
  readonly lines: string[]
  /** Resolves when the server said a line that fits. */
  says(isIt: (line: string) => boolean): Promise<void>
  /** Kills it as if the power went, and reads what it had still said. */
  kill(): Promise<void>
}

export function runServer(directory: string, kind: Installation['kind'], task = 'idle'): Server {
  const script = join(import.meta.dirname, 'server.ts')
  const child = spawn(process.execPath, [script, directory, kind, task], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = new Promise(resolve => child.once('close', resolve))
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', line => lines.push(line))
  return {
    process: child,
    lines,
    says: isIt => until(async () => lines.some(isIt), `the server said it; it said ${lines.slice(-3).join(', ')}`),
    async kill() {
      child.kill('SIGKILL')
      await closed
    },
  }
}

/** The postmaster's process id, as PostgreSQL itself notes it; null while there is none. */
export async function postmasterPid(directory: string): Promise<number | null> {
  const cluster = (await readdir(directory)).find(name => /^postgres-\d+$/.test(name)) ?? 'none'
  const noted = await readFile(join(directory, cluster, 'postmaster.pid'), 'utf8').catch(() => '')
  return noted ? Number.parseInt(noted) : null
}

/** A zombie counts as gone: its command line is empty. */
export async function isAlive(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) !== ''
}

export async function childrenOf(pid: number): Promise<number[]> {
  const children: number[] = []
  for (const name of await readdir('/proc')) {
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '')
    const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]
    if (Number(parent) === pid) children.push(Number(name))
  }
  return children
}
