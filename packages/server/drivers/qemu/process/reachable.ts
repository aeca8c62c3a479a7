// Machines run as users of their own, who must be able to pass through every folder above their files.
import { chmod, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Problem } from '@ramet/core/problem.ts'
import { server } from './privileges.ts'
import type { Privileges } from './privileges.ts'

/** The server's own data directory, which mktemp(1) and careful people make private. Nothing in it can be listed even so. */
export async function openPassage(folder: string, { stranger }: Privileges): Promise<void> {
  const { mode, uid } = await stat(folder)
  if (stranger && uid === server.uid && (mode & 0o001) === 0) await chmod(folder, (mode & 0o7777) | 0o001)
}

export async function requireReachable(path: string, { stranger }: Privileges): Promise<void> {
  if (!stranger) return // machines run as the server's user
  for (let folder = path; ; folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o001) === 0) throw closed(folder, path)
    if (folder === dirname(folder)) return
  }
}

function closed(folder: string, path: string) {
  const message = `Machines run as users of their own and cannot pass through ${folder} to ${path}; allow that with: chmod o+x ${folder}`
  return new Problem('invalid', 'folder-closed', message)
}
