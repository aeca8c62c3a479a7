// Which processes wait for instant clones that nobody has asked for yet: as many for a memory image as were asked for at once of late, within
// the memory that they may take. Nobody asked for any of it for a while: none.
import type { MemoryImageId, VmId } from './ids.ts'

/** A call that asked for so many clones of one image. */
export interface Ask {
  /** In ms. */
  readonly at: number
  readonly count: number
}

export interface HotImage {
  readonly id: MemoryImageId
  readonly asks: readonly Ask[]
  readonly waiting: readonly VmId[]
  /** Whether a clone of it would start here now: its host, storage and account are in order. */
  readonly isUsable: boolean
}

export interface WarmRoom {
  readonly now: number
  /** What all that wait may take together; 0: nothing waits. */
  readonly budgetMib: number
  /** What the host has left. */
  readonly availableMib: number
  /** The most that wait for one image. */
  readonly most: number
}

export interface WarmPlan {
  /** In this order. */
  readonly begin: readonly MemoryImageId[]
  readonly end: readonly VmId[]
}

/** A process that waits, of a guest with 256 MiB, holds 23 MiB that nobody shares, measured (Private_Dirty). */
export const warmMib = 25
/** What they leave the host in any case. */
export const reserveMib = 1024
export const forgottenAfterMs = 10 * 60_000
/** Calls so close together count as one. */
const burstMs = 2000

/** The most that were asked for at once since it is remembered. */
export function askedAtOnce(asks: readonly Ask[], now: number): number {
  const late = asks.filter(({ at }) => now - at < forgottenAfterMs)
  const bursts = late.map(first =>
    late.filter(({ at }) => at >= first.at && at - first.at < burstMs).reduce((sum, { count }) => sum + count, 0),
  )
  return Math.max(0, ...bursts)
}

export function planWarm(images: readonly HotImage[], room: WarmRoom): WarmPlan {
  const held = images.reduce((sum, { waiting }) => sum + waiting.length, 0) * warmMib
  const free = Math.min(room.budgetMib, held + room.availableMib - reserveMib)
  const wanted = shares(images, { ...room, places: Math.max(0, Math.floor(free / warmMib)) })
  const begin: MemoryImageId[] = []
  const end: VmId[] = []
  for (const { id, waiting } of hottestFirst(images)) {
    const count = wanted.get(id) ?? 0
    end.push(...waiting.slice(count))
    for (let missing = count - waiting.length; missing > 0; missing -= 1) begin.push(id)
  }
  return { begin, end }
}

/** One for each image in turn, those asked for last first, until all have what they want or no place is left. */
function shares(images: readonly HotImage[], { now, most, places }: WarmRoom & { places: number }) {
  const given = new Map<MemoryImageId, number>()
  const wants = hottestFirst(images).map(({ id, asks, isUsable }) => ({
    id,
    wanted: isUsable ? Math.min(most, askedAtOnce(asks, now)) : 0,
  }))
  let left = places
  for (let round = 1; left > 0 && wants.some(({ wanted }) => wanted >= round); round += 1)
    for (const { id, wanted } of wants)
      if (wanted >= round && left > 0) {
        given.set(id, round)
        left -= 1
      }
  return given
}

function hottestFirst(images: readonly HotImage[]): HotImage[] {
  const lastAsk = ({ asks }: HotImage) => Math.max(0, ...asks.map(({ at }) => at))
  return images.toSorted((a, b) => lastAsk(b) - lastAsk(a))
}
