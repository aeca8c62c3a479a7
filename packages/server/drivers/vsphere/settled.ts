// What a server reports of an object may trail the task that changed it.
import { setTimeout as delay } from 'node:timers/promises'
import { problems } from './problems.ts'

const limitMs = 30_000

/** Reads until `holds`; a Problem with what still is after half a minute. */
export async function settled<T>(read: () => Promise<T>, holds: (found: T) => boolean, still: string): Promise<T> {
  const deadline = Date.now() + limitMs
  for (let pause = 20; ; pause = Math.min(pause * 2, 1000)) {
    const found = await read()
    if (holds(found)) return found
    if (Date.now() > deadline) throw problems.notReached(still)
    await delay(pause)
  }
}
