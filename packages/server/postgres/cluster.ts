// Makes a database cluster, the folder in which PostgreSQL keeps everything, so that a crash leaves all of it or nothing.
//
// initdb writes for the better part of a second, and a folder it left half-way is of no use to anyone. So it works under a
// draft name, the database is made there too, and only the finished whole gets the name that later starts look for.
import { chown, mkdtemp, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Account, as, run } from './account.ts'

export const databaseName = 'ramet'
/** The only role; the folder around the socket keeps other people out, so no password is ever made or stored. */
export const roleName = 'ramet'

export async function createCluster(bin: string, account: Account, cluster: string): Promise<void> {
  const draft = await mkdtemp(`${cluster}.unfinished-`)
  await chown(draft, account.uid, account.gid)
  await run(as(account, 'KILL', join(bin, 'initdb'), initdbArguments(draft)), '', draft)
  // One server process without a socket. exit_on_error, as it would otherwise report a failure and still exit with 0.
  const single = ['--single', '-D', draft, '-c', 'exit_on_error=on', 'postgres']
  await run(as(account, 'KILL', join(bin, 'postgres'), single), `CREATE DATABASE ${databaseName};\n`, draft)
  await rename(draft, cluster)
  await syncDirectory(join(cluster, '..'))
}

function initdbArguments(draft: string): string[] {
  return [
    `--pgdata=${draft}`,
    `--username=${roleName}`,
    '--encoding=UTF8',
    '--locale=C.UTF-8',
    '--data-checksums',
    '--auth-local=trust',
    '--auth-host=reject',
    '--no-instructions',
  ]
}

/** Clears away what a crash cut short. Retries, as a child of the killed initdb may still be writing its last file. */
export async function removeDrafts(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const isDraft = /^postgres-[^/]+\.unfinished-/.test(name)
    if (isDraft) await rm(join(directory, name), { recursive: true, force: true, maxRetries: 20, retryDelay: 20 })
  }
}

/** A rename is on the disk only when its directory is. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory)
  await handle.sync()
  await handle.close()
}
