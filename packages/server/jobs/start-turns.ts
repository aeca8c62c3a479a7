// Machines that go on from a memory start in no time, and many are asked for at once: on each host as many at a time as it has processors, in the
// order in which they came. More would only be slower together. What makes machines better that run already waits until all
// have started: guests that are busy with themselves would take the processors from those that people wait for.
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HostId } from '@ramet/core/ids.ts'

interface Line {
  running: number
  readonly waiting: (() => void)[]
}

const starts = new Map<string, Line>()
const changes = new Map<string, Line>()
const mostChanges = 4 * availableParallelism()
const patience = { lookMs: 50, limitMs: 30_000 }

export function inTurn<T>(id: HostId, cpus: number, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
  return inLine(starts, id, cpus, signal, act)
}

/** Not while machines start, unless that goes on for long; and not for more guests at once than get anywhere. */
export async function afterStarts<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + patience.limitMs
  while (startsUnderWay() > 0 && performance.now() < deadline) await sleep(patience.lookMs, null, { signal })
  return inLine(changes, 'guests', mostChanges, signal, act)
}

/** How many start, or wait for their turn. */
export function startsUnderWay(): number {
  return [...starts.values()].reduce((sum, { running, waiting }) => sum + running + waiting.length, 0)
}

async function inLine<T>(
  lines: Map<string, Line>,
  id: string,
  most: number,
  signal: AbortSignal,
  act: () => Promise<T>,
): Promise<T> {
  const line = lines.get(id) ?? { running: 0, waiting: [] }
  lines.set(id, line)
  if (line.running >= most) await new Promise<void>(resolve => line.waiting.push(resolve))
  else line.running += 1
  try {
    signal.throwIfAborted()
    return await act()
  } finally {
    leave(lines, id, line)
  }
}

/** The place goes to the one who has waited longest. */
function leave(lines: Map<string, Line>, id: string, line: Line): void {
  const next = line.waiting.shift()
  if (next) return next()
  line.running -= 1
  if (line.running === 0) lines.delete(id)
}
