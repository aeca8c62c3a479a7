// What processes take of the host's memory, as the kernel tells it.
import { readFile } from 'node:fs/promises'

/** Proportional set size of the process: memory that it has alone, and its share of what it has together with others. */
export async function pssBytes(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
  return 1024 * Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1])
}

/** Of a machine, by its record (machine.json). */
export async function pssOfMachine(record: string): Promise<number> {
  return pssBytes((JSON.parse(await readFile(record, 'utf8')) as { pid: number }).pid)
}

/** What may be taken before the host has to swap. */
export async function availableBytes(): Promise<number> {
  return 1024 * Number(/^MemAvailable:\s+(\d+) kB/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1])
}
