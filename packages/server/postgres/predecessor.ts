// Clears the way after a server that did not stop its PostgreSQL: still running, still stopping, or dead without a trace.
//
// The caller holds the lock on the data directory, so whatever runs on our cluster belongs to a server that is gone.
// PostgreSQL's own lock files name a process by its number alone, and so believe in a zombie, or in a stranger that was
// given the number since. We look at the command line: a zombie has none, a stranger's speaks of other things.
// To remove a stale file is safe, as PostgreSQL then still refuses shared memory that an orphaned session is attached to.
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

export const patience = 20_000

export async function stopPredecessor(
  cluster: string,
  socketDirectory: string,
  log: (line: string) => void,
): Promise<void> {
  for (const lockFile of [join(cluster, 'postmaster.pid'), join(socketDirectory, '.s.PGSQL.5432.lock')]) {
    const holder = await readLockFile(lockFile)
    if (!holder) continue
    if (await isRunning(holder)) {
      if (holder.cluster !== cluster) continue // two data directories given one runtime directory; PostgreSQL says so
      log(`stopping the PostgreSQL (process ${holder.pid}) that an earlier server left behind`)
      await stopProcess(holder)
    }
    await rm(lockFile, { force: true })
  }
}

interface Holder {
  readonly pid: number
  readonly cluster: string
}

async function readLockFile(path: string): Promise<Holder | null> {
  const [pid, cluster] = (await readFile(path, 'utf8').catch(() => '')).split('\n')
  return pid && cluster ? { pid: Math.abs(Number(pid)), cluster } : null
}

async function isRunning({ pid, cluster }: Holder): Promise<boolean> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return commandLine.split('\0').includes(cluster)
}

async function stopProcess(holder: Holder): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    const deadline = performance.now() + patience
    sendSignal(holder.pid, signal)
    while (performance.now() < deadline) {
      if (!(await isRunning(holder))) return
      await delay(5)
    }
  }
  throw new Error(`PostgreSQL (process ${holder.pid}) on ${holder.cluster} does not stop; end it and start again`)
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It went between the look and the signal, which is all we want of it.
  }
}
