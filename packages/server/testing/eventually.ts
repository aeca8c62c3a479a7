// Waits for a condition, never for a time.
import { setTimeout as delay } from 'node:timers/promises'

/** The first answer of `look` that is neither null nor false; throws after `seconds` with what was waited for. */
export async function eventually<T>(what: string, look: () => Promise<T | null | false>, seconds = 30): Promise<T> {
  const deadline = Date.now() + seconds * 1000
  for (let pause = 2; ; pause = Math.min(pause * 1.5, 100)) {
    const found = await look()
    if (found !== null && found !== false) return found
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s in vain: ${what}`)
    await delay(pause)
  }
}
