// Guest memory as files on tmpfs. The server makes the file and QEMU only opens it, so that the folder need not be writable
// for machines. The name is known before the machine starts: whoever cleans up finds it, after any crash.
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, readFile, rm, rmdir, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { give } from './privileges.ts'
import type { Identity } from './privileges.ts'
import { problems } from './problems.ts'
import { Turns } from './turns.ts'

const mib = 2 ** 20
/** Room is counted, and the folder comes and goes, while nobody else does the same. */
const turns = new Turns<string>()

/** What guests may have of the host: all that their tmpfs holds, but not what the host needs to live. */
export function memoryForGuests(totalBytes: number, tmpfsBytes: number): number {
  const reserve = Math.max(512 * mib, totalBytes / 20)
  return Math.max(0, Math.min(totalBytes - reserve, tmpfsBytes))
}

export async function sharedMemoryBytes(): Promise<number> {
  const { blocks, bsize } = await statfs('/dev/shm')
  return blocks * bsize
}

/** In /dev/shm anybody can make a folder first; one that is not ours is no place for memory. */
async function makeRamDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o711 })
  const found = await lstat(path)
  if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o022) !== 0)
    throw problems.startFailed(`${path} belongs to somebody else; remove it`)
}

/** An empty file of the right size. A full tmpfs would kill the guest at its next touch (SIGBUS), so room is asked for now. */
export function makeRamFile(path: string, sizeMib: number, identity: Identity | null): Promise<void> {
  const directory = dirname(path)
  return turns.take(directory, async () => {
    await makeRamDirectory(directory)
    await rm(path, { force: true })
    const freeMib = Math.max(0, Math.floor((await unpromisedBytes(directory)) / mib))
    if (freeMib < sizeMib) throw problems.memoryFull(directory, sizeMib, freeMib)
    const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
    try {
      await file.truncate(sizeMib * mib)
      await give(file, identity)
    } finally {
      await file.close()
    }
  })
}

/** What may be taken before the host swaps: proc_meminfo(5). */
export async function availableMemoryBytes(): Promise<number> {
  const kib = /^MemAvailable:\s+(\d+) kB/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1]
  return Number(kib ?? 0) * 1024
}

/** What is free now, less what the machines that run have not touched yet of their memory. */
export async function unpromisedBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(dirname(directory))
  const names = await readdir(directory).catch(() => [])
  const files = await Promise.all(names.map(name => stat(join(directory, name)).catch(() => null)))
  const promised = files.map(file => (file ? Math.max(0, file.size - file.blocks * 512) : 0))
  return bavail * bsize - promised.reduce((sum, bytes) => sum + bytes, 0)
}

export function dropRamFile(path: string): Promise<void> {
  return turns.take(dirname(path), async () => {
    await rm(path, { force: true })
    await rmdir(dirname(path)).catch(() => {})
  })
}

/** The folder goes with the last machine; while one has memory in it, it stays. */
export function dropRamDirectory(path: string): Promise<void> {
  return turns.take(path, () => rmdir(path).catch(() => {}))
}
