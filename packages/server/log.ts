// The server's log: one JSON line an entry, on standard error. Secrets are never passed to it.
import { pino } from 'pino'

export interface Log {
  info(facts: object, message: string): void
  warn(facts: object, message: string): void
  error(facts: object, message: string): void
}

export function createLog(level: string): Log {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 2, sync: true }))
}

export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} }
