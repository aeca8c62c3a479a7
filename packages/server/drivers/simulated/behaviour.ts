// How the simulated hypervisor behaves: its delays, and when it fails. In a simulated cloud these are settings, changed while
// it runs (core/settings.ts, simulated.*).
import type { SettingName } from '@ramet/core/settings.ts'
import { namesIn } from '@ramet/core/names.ts'

export interface Behaviour {
  readonly startMs: number
  readonly stopMs: number
  readonly migrateMs: number
  /** How fast whole disks are copied; 0: at once. */
  readonly copyMibPerSecond: number
  /** How many of the calls that make or move something fail. */
  readonly failurePercent: number
  /** The same seed makes the same calls fail, where they come in the same order. */
  readonly failureSeed: number
  /** Calls of which the next one fails, such as `machines.start`; one that stands here twice fails twice. */
  readonly failNext: readonly string[]
  /** Names of hosts that do not answer, and on which nothing runs. */
  readonly hostsDown: readonly string[]
}

export const calm: Behaviour = {
  startMs: 0,
  stopMs: 0,
  migrateMs: 0,
  copyMibPerSecond: 0,
  failurePercent: 0,
  failureSeed: 1,
  failNext: [],
  hostsDown: [],
}

export interface BehaviourSettings {
  text(name: SettingName): string
  number(name: SettingName): number
}

export function behaviourOf(settings: BehaviourSettings): Behaviour {
  return {
    startMs: settings.number('simulated.start.ms'),
    stopMs: settings.number('simulated.stop.ms'),
    migrateMs: settings.number('simulated.migrate.ms'),
    copyMibPerSecond: settings.number('simulated.copy.mibps'),
    failurePercent: settings.number('simulated.failure.percent'),
    failureSeed: settings.number('simulated.failure.seed'),
    failNext: namesIn(settings.text('simulated.fail.next')),
    hostsDown: namesIn(settings.text('simulated.hosts.down')),
  }
}
