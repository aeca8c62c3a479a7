// Named places in a job at which the process may be killed: before and after every durable write and driver call.
// They cost nothing in production. The crash test asks for the list, then dies at each one in turn.
import { appendFileSync } from 'node:fs'
import process from 'node:process'

export interface CrashPoints {
  pass(point: string): void
}

export const noCrashPoints: CrashPoints = { pass: () => {} }

/** RAMET_CRASH_LOG appends each point passed to a file; RAMET_CRASH_AT kills this process at the point it names. */
export function crashPointsFrom(env: NodeJS.ProcessEnv): CrashPoints {
  const { RAMET_CRASH_LOG: log, RAMET_CRASH_AT: at } = env
  if (!log && !at) return noCrashPoints
  return {
    pass(point) {
      if (log) appendFileSync(log, `${point}\n`)
      if (point === at) process.kill(process.pid, 'SIGKILL')
    },
  }
}
