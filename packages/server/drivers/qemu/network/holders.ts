// Who holds a network's taps. A tap tells its name to whoever looks at the open file (proc_pid_fdinfo(5)), whichever namespace it is in.
import { readdir, readFile, readlink } from 'node:fs/promises'
import { type Member, tapNames } from './folder.ts'

export interface Holder {
  readonly pid: number
  /** Number of the open tap in the process. */
  readonly fd: number
  readonly tap: string
}

/** Reads all of /proc: for a network in trouble, not for every call. */
export async function findHolders(members: readonly Member[]): Promise<Holder[]> {
  if (members.length === 0) return []
  const taps = new Set(members.flatMap(({ nic }) => tapNames(nic)))
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const found: Holder[] = []
  for (const pid of pids) found.push(...(await tapsOf(pid)).filter(({ tap }) => taps.has(tap)))
  return found
}

async function tapsOf(pid: string): Promise<Holder[]> {
  const files = await readdir(`/proc/${pid}/fd`).catch(() => []) // ended, or not ours
  const found = await Promise.all(files.map(fd => tapAt(pid, fd)))
  return found.filter(each => each !== null)
}

async function tapAt(pid: string, fd: string): Promise<Holder | null> {
  const path = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')
  if (!path.endsWith('/net/tun')) return null
  const about = await readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8').catch(() => '')
  const tap = /^iff:\t(\S+)$/m.exec(about)?.[1]
  return tap ? { pid: Number(pid), fd: Number(fd), tap } : null
}
