// What is left of a machine goes. `run/` belongs to the machine's user, whose other machines may be running, and any of them may
// have been taken over: what is in it is removed with that user's rights, or a folder that turns into a link in the middle of
// the removal would lead root to somebody else's files. All around it belongs to the server, and is flat.
import { lstat, readdir, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { dropSuccessor, type MachineFolder } from './machine-folder.ts'
import { server } from '../process/privileges.ts'
import { isErrno } from '../problems.ts'
import { dropRamFile } from '../memory/ram.ts'
import { runTool } from '../process/tools.ts'

const clearLimitMs = 60_000

/** Removes what only a running machine needs. */
export async function removeRunning(folder: MachineFolder): Promise<void> {
  const { record, qmp, agent, taps, quiesced, frozen, waiting, memory } = folder
  await dropSuccessor(folder)
  const ours = [record, qmp, agent, taps, quiesced, frozen, waiting, memory].map(name => ifThere(unlink(name)))
  // These are files, and nothing slower is needed, unless somebody put something else there.
  const itsOwn = Promise.all([folder.vnc, folder.lock].map(name => ifThere(unlink(name))))
  await Promise.all([...ours, itsOwn.catch(() => clear(folder.run)), dropRamFile(folder.ram)])
}

export async function removeFolder(folder: MachineFolder): Promise<void> {
  await removeRunning(folder)
  await clear(folder.run)
  await ifThere(rmdir(folder.run))
  const names = (await ifThere(readdir(folder.path))) ?? []
  for (const name of names) await ifThere(unlink(join(folder.path, name)))
  await ifThere(rmdir(folder.path))
}

/** Empties a machine's own folder as its user. The folder's name stays, in a folder that only the server can write. */
async function clear(run: string): Promise<void> {
  const owner = await ifThere(lstat(run))
  if (!owner?.isDirectory() || (await readdir(run)).length === 0) return
  const identity = server.uid === 0 ? { uid: owner.uid, gid: owner.gid } : null
  const rights = { identity, timeoutMs: clearLimitMs }
  await runTool('chmod', ['-R', 'u+rwX', '--', run], rights) // its user may have closed a folder, even to itself
  await runTool('rm', ['-rf', '--one-file-system', '--', run], rights)
}

/** Null when there is no such thing. */
async function ifThere<T>(act: Promise<T>): Promise<T | null> {
  try {
    return await act
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null
    throw error
  }
}
