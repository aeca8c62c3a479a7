// Guest memory as files on tmpfs. The server makes the file and QEMU only opens it, so that the folder need not be writable
// for machines. The name is known before the machine starts: whoever cleans up finds it, after any crash.
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, readFile, rm, rmdir, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { give } from '../process/privileges.ts'
import type { Identity } from '../process/privileges.ts'
import { problems } from '../problems.ts'
import { Turns } from '../machines/turns.ts'

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

/** While `act` puts something into the folder, it stays. */
export function inRamDirectory<T>(path: string, act: () => Promise<T>): Promise<T> {
  return turns.take(path, async () => {
    await makeRamDirectory(path)
    return act()
  })
}

/** An empty file of the right size. A full tmpfs would kill the guest at its next touch (SIGBUS), so room is asked for now. */
export function makeRamFile(path: string, sizeMib: number, identity: Identity | null): Promise<void> {
  const directory = dirname(path)
  return turns.take(directory, async () => {
    await makeRamDirectory(directory)
    await rm(path, { force: true })
    await demandHostMemory(directory, sizeMib)
    const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
    try {
      await file.truncate(sizeMib * mib)
      await give(file, identity)
    } finally {
      await file.close()
    }
  })
}

/** A full tmpfs kills whoever touches more of it (SIGBUS), and a host that swaps stops everybody. To be asked in the folder's turn. */
export async function demandHostMemory(directory: string, sizeMib: number): Promise<void> {
  const { store, host } = await roomIn(directory)
  const asMib = (bytes: number) => Math.max(0, Math.floor(bytes / mib))
  if (asMib(store) < sizeMib) throw problems.memoryFull(directory, sizeMib, asMib(store))
  if (asMib(host) < sizeMib) throw problems.hostMemoryFull(sizeMib, asMib(host))
}

/** What is free in the folder, and of the host, less what running machines and images may still take of what they were promised. */
async function roomIn(directory: string): Promise<{ store: number; host: number }> {
  const promised = await promisedBytes(directory)
  const [{ bavail, bsize }, available] = await Promise.all([roomOf(directory), availableMemoryBytes()])
  return { store: bavail * bsize - promised, host: available - promised }
}

/** What may be taken before the host swaps: proc_meminfo(5). */
export async function availableMemoryBytes(): Promise<number> {
  const kib = /^MemAvailable:\s+(\d+) kB/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1]
  return Number(kib ?? 0) * 1024
}

/** What memory images and machines that boot may still take. */
export async function unpromisedBytes(directory: string): Promise<number> {
  const { store, host } = await roomIn(directory)
  return Math.max(0, Math.min(store, host))
}

/** What the host may take before it swaps, when all have taken what they were promised. */
export async function hostRoomBytes(directory: string): Promise<number> {
  return (await roomIn(directory)).host
}

/** Somebody may have mounted a tmpfs of its own there. */
function roomOf(directory: string) {
  return statfs(directory).catch(() => statfs(dirname(directory)))
}

/** What machines and images have not touched yet of their memory. */
async function promisedBytes(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true }).catch(() => [])
  const found = await Promise.all(names.map(name => stat(join(directory, name)).catch(() => null)))
  // Memory that became an image has two names. On tmpfs, whoever reads a hole fills it: images are promised whole too.
  const files = new Map(found.flatMap(file => (file?.isFile() ? [[file.ino, file]] : [])))
  const promised = [...files.values()].map(({ size, blocks }) => Math.max(0, size - blocks * 512))
  return promised.reduce((sum, bytes) => sum + bytes, 0)
}

export function dropRamFile(path: string): Promise<void> {
  return turns.take(dirname(path), async () => {
    await rm(path, { force: true })
    await rmdir(dirname(path)).catch(() => {})
  })
}

/** The folder goes with the last machine; while one has memory in it, or there are images, it stays. So does a folder of images. */
export function dropRamDirectory(path: string, images?: string): Promise<void> {
  return turns.take(path, async () => {
    for (const each of images ? [images, path] : [path]) await rmdir(each).catch(() => {})
  })
}
