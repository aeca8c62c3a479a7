// Runs the server's own PostgreSQL: a private cluster under the data directory, reached through a unix socket only.
//
// The caller holds the lock on the data directory (lock-data-directory.ts). PostgreSQL ends when this process does, also
// by kill -9; commits it has acknowledged are on the disk by then, and the next start finds them.
import { chmod, chown, mkdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Account, accountForNewCluster, accountOfCluster, as, isRoot, requirePassage } from './account.ts'
import { createCluster, databaseName, removeDrafts, roleName } from './cluster.ts'
import { chooseInstallation, type Installation, installations, majorOfCluster, npmPackage } from './installation.ts'
import { usableBinaries } from './npm-binaries.ts'
import { launch, type Place, type Postmaster, postgresArguments } from './postmaster.ts'
import { patience, stopPredecessor } from './predecessor.ts'

export interface PostgresOptions {
  /** The server's data directory; the cluster is made in it, as postgres-MAJOR. */
  readonly directory: string
  /** Where the socket's folder goes; for a data directory whose path is too long for one. */
  readonly runtimeDirectory?: string
  /** Left out: the version that made the cluster, else the system's, else the one that npm carries. */
  readonly binaries?: Installation['kind'] | undefined
  readonly log: (line: string) => void
}

export interface EmbeddedPostgres {
  /** For node-postgres and everything else that speaks libpq. */
  readonly url: string
  readonly version: string
  readonly majorVersion: number
  /** Resolves when PostgreSQL ended though nobody called stop. */
  readonly exited: Promise<void>
  stop(): Promise<void>
}

export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const directory = await ownDirectory(options.directory)
  const runtimeDirectory = options.runtimeDirectory ? await ownDirectory(options.runtimeDirectory) : directory
  const existing = await majorOfCluster(directory)
  const chosen = chooseInstallation(await installations(), options.binaries, { directory, major: existing })
  const place = {
    cluster: join(directory, `postgres-${chosen.major}`),
    socketDirectory: join(runtimeDirectory, 'postgres-socket'),
  }
  requireShortPath(place.socketDirectory)

  const account = existing ? await accountOfCluster(place.cluster) : await accountForNewCluster()
  if (isRoot) for (const path of new Set([directory, runtimeDirectory])) await requirePassage(account, path)
  await removeDrafts(directory)
  const bin = await runnable(chosen, account, directory)
  if (!existing) await createCluster(bin, account, place.cluster)
  await privateDirectory(place.socketDirectory, account)

  const { version, exited, stop } = await launchWhenFree(bin, account, place, options.log)
  const url = databaseUrl(runtimeDirectory)
  return { url, version, majorVersion: chosen.major, exited, stop }
}

/** How to reach the PostgreSQL that runs, or is to run, for a server with this data (or runtime) directory. */
export function databaseUrl(directory: string): string {
  return `postgresql:///${databaseName}?host=${encodeURIComponent(join(directory, 'postgres-socket'))}&user=${roleName}`
}

/** Ours to make passable, unlike its parents: PostgreSQL's account must get through it, without seeing what is there. */
async function ownDirectory(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o711 })
  const { mode } = await stat(path)
  if (isRoot) await chmod(path, (mode & 0o7777) | 0o011)
  return realpath(path)
}

/** Whoever gets in here is the database's superuser. */
async function privateDirectory(path: string, account: Account): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  await chown(path, account.uid, account.gid)
  await chmod(path, 0o700)
}

function requireShortPath(socketDirectory: string): void {
  const longest = 107 // of a unix socket's path, in bytes, on Linux
  const excess = Buffer.byteLength(join(socketDirectory, '.s.PGSQL.5432')) - longest
  if (excess <= 0) return
  throw new Error(
    `A unix socket in ${socketDirectory} would have a path ${excess} bytes longer than Linux allows; ` +
      'choose a shorter data directory, or a short runtime directory',
  )
}

async function runnable(chosen: Installation, account: Account, directory: string): Promise<string> {
  const carried = chosen.kind === 'npm' ? await npmPackage() : null
  return carried ? usableBinaries(carried, account, directory) : chosen.bin
}

/** Sessions that lost their postmaster to a kill -9 hold the cluster until they notice; that is worth a short wait. */
async function launchWhenFree(
  bin: string,
  account: Account,
  place: Place,
  log: (line: string) => void,
): Promise<Postmaster> {
  const command = as(account, 'INT', join(bin, 'postgres'), postgresArguments(place))
  const deadline = performance.now() + patience
  while (true) {
    await stopPredecessor(place.cluster, place.socketDirectory, log)
    try {
      return await launch(command, log)
    } catch (cause) {
      const isHeld = /postmaster\.pid" already exists|pre-existing shared memory block/.test(String(cause))
      if (!isHeld || performance.now() > deadline) throw cause
      await delay(50)
    }
  }
}
