// Processes as the kernel knows them. A pid is used again after its process ended, so a process is a pid with its start
// time (proc_pid_stat(5), field 22, in ticks since boot) and the boot it belongs to.
import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ProcessId {
  readonly pid: number
  readonly startTime: string
  readonly boot: string
}

export const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()

/** The process that has `pid` now; null when there is none, or only its remains that nobody collected. */
export function processAt(pid: number): ProcessId | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // Field 2, the name, may hold anything, brackets and spaces too; the last bracket ends it. Field 3 comes next.
    const [state = '', ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [threads, startTime] = [rest[16], rest[18]]
    // A zombie with threads is still ending: it holds its files, and QEMU's locks on them, until the last thread is gone.
    const isOver = state === 'X' || (state === 'Z' && Number(threads) <= 1)
    return isOver || !startTime ? null : { pid, startTime, boot: bootId }
  } catch {
    return null
  }
}

export function isAlive(process: ProcessId): boolean {
  const now = process.boot === bootId ? processAt(process.pid) : null
  return now?.startTime === process.startTime
}

/** Sends SIGKILL to exactly this process, and waits for its end. False: it is still there after `limitMs`. */
export async function killAndWait(target: ProcessId, limitMs: number): Promise<boolean> {
  // Looking and killing are two system calls; a pid could only change hands between them if the kernel went once
  // through all 4 million pids in those microseconds.
  if (isAlive(target)) kill(target.pid)
  return waitForEnd(target, limitMs)
}

export async function waitForEnd(target: ProcessId, limitMs: number): Promise<boolean> {
  const deadline = performance.now() + limitMs
  for (let pause = 1; isAlive(target); pause = Math.min(pause * 2, 50)) {
    if (performance.now() > deadline) return false
    await sleep(pause)
  }
  return true
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself in between.
  }
}

export interface RunningProgram extends ProcessId {
  readonly uid: number
  readonly args: readonly string[]
}

/** All processes whose arguments please `wanted`. Reads all of /proc: once at the server's start, not for every call. */
export async function findPrograms(wanted: (args: readonly string[]) => boolean): Promise<RunningProgram[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const programs = await Promise.all(pids.map(pid => programAt(pid, wanted)))
  return programs.filter(program => program !== null)
}

async function programAt(pid: number, wanted: (args: readonly string[]) => boolean): Promise<RunningProgram | null> {
  try {
    const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').slice(0, -1)
    if (!wanted(args)) return null
    const uid = Number(/^Uid:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1])
    const found = processAt(pid)
    return found && { ...found, uid, args }
  } catch {
    return null // ended while we looked
  }
}
