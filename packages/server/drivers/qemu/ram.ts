// Guest memory as files on tmpfs. The server makes the file and QEMU only opens it, so that the folder need not be writable
// for machines. The name is known before the machine starts: whoever cleans up finds it, after any crash.
import { constants } from 'node:fs'
import { lstat, mkdir, open, rm, rmdir, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { give } from './privileges.ts'
import type { Identity } from './privileges.ts'
import { problems } from './problems.ts'

/** In /dev/shm anybody can make a folder first; one that is not ours is no place for memory. */
async function makeRamDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o711 })
  const found = await lstat(path)
  if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o022) !== 0)
    throw problems.startFailed(`${path} belongs to somebody else; remove it`)
}

/** An empty file of the right size. A full tmpfs would kill the guest at its next touch (SIGBUS), so room is asked for now. */
export async function makeRamFile(path: string, mib: number, identity: Identity | null): Promise<void> {
  await makeRamDirectory(dirname(path))
  const { bavail, bsize } = await statfs(dirname(path))
  const freeMib = Math.floor((bavail * bsize) / 2 ** 20)
  if (freeMib < mib) throw problems.memoryFull(dirname(path), mib, freeMib)
  await rm(path, { force: true })
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
  try {
    await file.truncate(mib * 2 ** 20)
    await give(file, identity)
  } finally {
    await file.close()
  }
}

/** The folder goes with the last machine; while one has memory in it, it stays. */
export async function dropRamDirectory(path: string): Promise<void> {
  await rmdir(path).catch(() => {})
}
