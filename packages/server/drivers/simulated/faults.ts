// When a call of the simulated hypervisor fails: because a test asked for it, because the operator ordered it for the next call,
// or by chance. Chance strikes only where something is made or moved, so that what was begun can be undone.
import { Problem } from '@ramet/core/problem.ts'
import { change, type World } from './world.ts'

const making = new Set([
  'layers.seed',
  'layers.fork',
  'layers.copy',
  'layers.blank',
  'machines.start',
  'machines.migrate',
  'machines.cut',
  'machines.freeze',
  'machines.merge',
  'layers.merge',
  'forest.spawn',
  'forest.start',
  'forest.fork',
])

export type Faults = (call: string) => void

export function faultsOf(world: World): Faults {
  let chance: { readonly seed: number; readonly next: () => number } | null = null

  return call => {
    if (isOrderedByTest(world, call) || isOrdered(world, call) || strikes(call))
      throw new Problem('unavailable', 'simulated-fault', `The simulated hypervisor refuses ${call}`)
  }

  function strikes(call: string): boolean {
    const { failurePercent, failureSeed } = world.behaviour
    if (failurePercent === 0 || !making.has(call)) return false
    if (chance?.seed !== failureSeed) chance = { seed: failureSeed, next: random(failureSeed) }
    return chance.next() * 100 < failurePercent
  }
}

function isOrderedByTest(world: World, call: string): boolean {
  const left = world.faults.get(call) ?? 0
  if (left > 0) world.faults.set(call, left - 1)
  return left > 0
}

/** An order is obeyed once, also over restarts; another order begins anew. */
function isOrdered(world: World, call: string): boolean {
  const { failNext } = world.behaviour
  if (!failNext.includes(call)) return false
  const order = failNext.join()
  const calls = world.failed.order === order ? world.failed.calls : []
  if (timesIn(calls, call) >= timesIn(failNext, call)) return false
  change(world, { failed: { order, calls: [...calls, call] } })
  return true
}

function timesIn(calls: readonly string[], call: string): number {
  return calls.filter(each => each === call).length
}

/** Numbers from 0 to 1, the same for the same seed: mulberry32. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
