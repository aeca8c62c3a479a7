// What a process holds of the host's memory: pages that are its own, and of those that it shares with others its share (PSS: proc(5)).
import { readFile } from 'node:fs/promises'
import { isAlive, type ProcessId } from '../process/process.ts'

/** Null where it has ended. */
export async function heldBytes(process: ProcessId): Promise<number | null> {
  const text = await readFile(`/proc/${process.pid}/smaps_rollup`, 'utf8').catch(() => '')
  const kib = /^Pss: +(\d+) kB$/m.exec(text)?.[1]
  return kib && isAlive(process) ? Number(kib) * 1024 : null
}
