// One call of the simulated hypervisor: noted, as slow as it is to be, and failed where that is due.
import { setTimeout as delay } from 'node:timers/promises'
import { faultsOf } from './faults.ts'
import type { World } from './world.ts'

const rememberedCalls = 10_000

/** Notes the call, takes its time, and fails where that is due. */
export type Calling = (name: string, ms?: number, signal?: AbortSignal) => Promise<void>

export function callingOf(world: World): Calling {
  const fail = faultsOf(world)
  return async (name, ms = 0, signal) => {
    if (world.calls.push(name) > rememberedCalls) world.calls.splice(0, rememberedCalls / 2)
    const wait = world.delays.get(name) ?? ms
    if (wait > 0) await delay(wait, undefined, signal && { signal })
    fail(name)
  }
}
