// Named places in a job at which the process may be killed, or the step made to fail: before and after every durable
// write and every driver call. They cost nothing in production. The crash test asks for the list, then dies at each.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'

export interface CrashPoints {
  pass(point: string): void
}

export const noCrashPoints: CrashPoints = { pass: () => {} }

/**
 * RAMET_CRASH_LOG names a file to which each point passed is appended. RAMET_CRASH_FILE names one with lines `kill POINT`
 * and `fail POINT`, each obeyed once: taken out of the file before it is carried out, so that the next server lives.
 */
export function crashPointsFrom(env: NodeJS.ProcessEnv): CrashPoints {
  const { RAMET_CRASH_LOG: log, RAMET_CRASH_FILE: orders } = env
  if (!log && !orders) return noCrashPoints
  return {
    pass(point) {
      if (log) appendFileSync(log, `${point}\n`)
      if (orders) obey(orders, point)
    },
  }
}

function obey(file: string, point: string): void {
  const lines = readFileSync(file, 'utf8').split('\n')
  const order = lines.find(line => line === `kill ${point}` || line === `fail ${point}`)
  if (!order) return
  writeFileSync(file, lines.filter(line => line !== order).join('\n'))
  if (order.startsWith('kill')) process.kill(process.pid, 'SIGKILL')
  else throw new Error(`made to fail at ${point}`)
}
