// Machines that go on from a memory start in no time, and many are asked for at once: on each host as many at a time as it has processors, in the
// order in which they came. More would only be slower together.
import type { HostId } from '@ramet/core/ids.ts'

interface Host {
  running: number
  readonly waiting: (() => void)[]
}

const hosts = new Map<HostId, Host>()

export async function inTurn<T>(id: HostId, cpus: number, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
  const host = hosts.get(id) ?? { running: 0, waiting: [] }
  hosts.set(id, host)
  if (host.running >= cpus) await new Promise<void>(resolve => host.waiting.push(resolve))
  else host.running += 1
  try {
    signal.throwIfAborted()
    return await act()
  } finally {
    leave(id, host)
  }
}

/** How many start, or wait for their turn. */
export function startsUnderWay(): number {
  return [...hosts.values()].reduce((sum, { running, waiting }) => sum + running + waiting.length, 0)
}

/** The place goes to the one who has waited longest. */
function leave(id: HostId, host: Host): void {
  const next = host.waiting.shift()
  if (next) return next()
  host.running -= 1
  if (host.running === 0) hosts.delete(id)
}
