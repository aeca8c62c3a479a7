// Whether a folder is that of a process which waits to become a machine (warm-machines.ts), and for which server.
import { readFile } from 'node:fs/promises'
import type { VmId } from '@ramet/core/ids.ts'
import { isAlive, type ProcessId } from '../process/process.ts'
import { listFolders, type MachineFolder, machineFolder } from './machine-folder.ts'

/** Whom a process waits for that has this folder; null: it is a machine's. */
export async function awaitedBy(folder: MachineFolder): Promise<{ readonly server: ProcessId | null } | null> {
  const text = await readFile(folder.waiting, 'utf8').catch(() => null)
  if (text === null) return null
  try {
    return { server: JSON.parse(text) as ProcessId | null }
  } catch {
    return { server: null }
  }
}

/** Those that wait for a server that lives: they are its own business. */
export async function awaitedByLiving(runDirectory: string): Promise<Set<VmId>> {
  const waiting = new Set<VmId>()
  for (const vm of await listFolders(runDirectory)) {
    const awaited = await awaitedBy(machineFolder(runDirectory, vm))
    if (awaited?.server && isAlive(awaited.server)) waiting.add(vm)
  }
  return waiting
}
