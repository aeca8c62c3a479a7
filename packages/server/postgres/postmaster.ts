// One running PostgreSQL: from the spawn to "ready", and from the wish to stop to its end.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Command, environment } from './account.ts'
import { patience } from './predecessor.ts'

export interface Postmaster {
  readonly version: string
  readonly exited: Promise<void>
  stop(): Promise<void>
}

export interface Place {
  readonly cluster: string
  readonly socketDirectory: string
}

/** On the command line, and so true of every cluster, whatever its own configuration file says. */
export function postgresArguments({ cluster, socketDirectory }: Place): string[] {
  const settings = {
    listen_addresses: '', // no TCP, so there is no password to keep and no port to collide on
    unix_socket_directories: `"${socketDirectory.replaceAll('"', '""')}"`, // a list, in which quotes protect a comma
    unix_socket_permissions: '0700',
    port: '5432',
    shared_buffers: '32MB',
    jit: 'off', // our queries take less time than compiling them would
    max_connections: '60',
    fsync: 'on',
    full_page_writes: 'on',
    logging_collector: 'off',
    log_destination: 'stderr',
    log_line_prefix: '',
    // Statements and details quote values, which may be secrets; whoever sent the statement gets them all the same.
    log_error_verbosity: 'terse',
    log_min_error_statement: 'panic',
  }
  return ['-D', cluster, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
}

/** Resolves when sessions are accepted. There is no time limit: redo after a crash takes as long as it takes. */
export async function launch(command: Command, log: (line: string) => void): Promise<Postmaster> {
  const child = spawn(command.program, command.arguments, {
    cwd: '/',
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true, // else Ctrl-C in a terminal stops the database under the server that is still closing its work
  })
  const { promise: exited, resolve: diedByItself } = Promise.withResolvers<void>()
  let stopping: Promise<void> | undefined
  child.once('exit', () => stopping ?? diedByItself())
  const version = await readiness(child, log)
  return { version, exited, stop: () => (stopping ??= stop(child)) }
}

async function readiness(child: ChildProcess, log: (line: string) => void): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const said: string[] = []
  let version: string | undefined
  let isReady = false
  createInterface({ input: child.stderr as NonNullable<ChildProcess['stderr']> }).on('line', line => {
    log(line)
    if (isReady) return
    said.push(line)
    version ??= /starting PostgreSQL (\S+)/.exec(line)?.[1]
    isReady = line.endsWith('database system is ready to accept connections')
    if (isReady) resolve(version ?? 'unknown')
  })
  child.once('error', reject)
  child.once('close', () => reject(new Error(`PostgreSQL did not start: ${said.join('; ')}`)))
  return promise
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGINT') // "fast": sessions are cut off, committed work is written out
  const lastResort = setTimeout(() => child.kill('SIGQUIT'), patience)
  await exit
  clearTimeout(lastResort)
}
