// Keeps processes waiting for instant clones of the images that they are asked for of (core/warm.ts), and knows under which ids. All of it is
// in this server's memory: what waits ends with the server, and without it a clone starts as others do, only later.
import { type MemoryImageId, newId, type VmId, type VolumeId } from '@ramet/core/ids.ts'
import { type Ask, forgottenAfterMs, planWarm } from '@ramet/core/warm.ts'
import type { Driver } from '../drivers/driver.ts'
import type { Warm } from '../drivers/warm.ts'
import { startsUnderWay } from '../jobs/start-turns.ts'
import type { Log } from '../log.ts'
import type { Settings } from '../settings.ts'
import type { Database } from '../store/database.ts'
import { type CloneOfImage, cloneOfImage } from '../store/clone-of-image.ts'

/** The ids of a clone that something waits for. */
export interface Spare {
  readonly vm: VmId
  readonly generationId: string
  /** By the disk's place. */
  readonly volumes: ReadonlyMap<number, VolumeId>
}

export interface Spares {
  /** So many clones of the image are being asked for. Answers for how many of them something waits, and under which ids. */
  take(image: MemoryImageId, count: number): readonly Spare[]
  /** They were probably not written down after all; nobody is given these ids again. */
  giveUp(spares: readonly Spare[]): void
  readonly figures: () => WarmFigures
}

export interface WarmFigures {
  readonly waiting: number
  readonly budget: number
  /** Clones that something waited for, and those for which nothing did. */
  readonly taken: number
  readonly missed: number
}

export interface WarmWatch {
  readonly spares: Spares
  look(): Promise<void>
  close(): Promise<void>
}

/** One that was taken and has not become a machine by then never will. */
const takenLimitMs = 5 * 60_000
const mib = 2 ** 20

interface Kept extends Spare {
  readonly image: MemoryImageId
}

interface Parts {
  readonly db: Database
  readonly driver: Driver
  readonly settings: Settings
  readonly log: Log
}

export function watchWarm(parts: Parts, everyMs = 1000): WarmWatch {
  const { warm } = parts.driver
  return warm ? keep(parts, warm, everyMs) : none
}

/** Where nothing can wait. */
const none: WarmWatch = {
  spares: { take: () => [], giveUp() {}, figures: () => ({ waiting: 0, budget: 0, taken: 0, missed: 0 }) },
  look: async () => {},
  close: async () => {},
}

function keep({ db, driver, settings, log }: Parts, warm: Warm, everyMs: number): WarmWatch {
  const asks = new Map<MemoryImageId, Ask[]>()
  const free = new Map<VmId, Kept>()
  /** And when. */
  const taken = new Map<VmId, number>()
  const counted = { taken: 0, missed: 0 }
  let looking: Promise<void> | null = null
  let closed = false

  const spares: Spares = {
    take(image, count) {
      const at = Date.now()
      asks.set(
        image,
        [...(asks.get(image) ?? []), { at, count }].filter(each => at - each.at < forgottenAfterMs),
      )
      const alive = warm.waiting()
      const given = [...free.values()].filter(each => each.image === image && alive.has(each.vm)).slice(0, count)
      for (const kept of given) {
        free.delete(kept.vm)
        taken.set(kept.vm, at)
      }
      counted.taken += given.length
      counted.missed += count - given.length
      return given
    },
    giveUp(given) {
      for (const { vm } of given) taken.set(vm, 0)
    },
    figures: () => ({ waiting: warm.waiting().size, budget: budget(), ...counted }),
  }

  function budget(): number {
    return settings.number('instantclone.warm.memory') * mib
  }

  const look = () => (looking ??= work().finally(() => (looking = null)))

  async function work(): Promise<void> {
    await forget()
    if (asks.size === 0) return
    const clones = new Map<MemoryImageId, CloneOfImage>()
    for (const image of asks.keys()) {
      const clone = await cloneOfImage(db, image)
      if (clone) clones.set(image, clone)
    }
    const plan = await planned(clones)
    for (const vm of plan.end) {
      free.delete(vm)
      await warm.end(vm)
    }
    for (const image of plan.begin) {
      const clone = clones.get(image)
      // Clones that are asked for come first: the processors are theirs.
      if (closed || !clone || startsUnderWay() > 0) return
      await prepare(image, clone)
    }
  }

  async function planned(clones: ReadonlyMap<MemoryImageId, CloneOfImage>) {
    const host = [...clones.values()][0]?.spec.host
    const availableBytes = host ? (await driver.hosts.memory(host)).availableBytes : 0
    const images = [...asks].map(([id, each]) => {
      const waiting = [...free.values()].flatMap(({ vm, image }) => (image === id ? [vm] : []))
      return { id, asks: each, waiting, isUsable: clones.has(id) }
    })
    return planWarm(images, {
      now: Date.now(),
      budgetMib: budget() / mib,
      availableMib: availableBytes / mib,
      most: settings.number('instantclone.warm.most'),
    })
  }

  async function prepare(image: MemoryImageId, { spec, places }: CloneOfImage): Promise<void> {
    const volumes = new Map(places.map(({ deviceId }) => [deviceId, newId<'volume'>()]))
    const kept = { image, vm: newId<'vm'>(), generationId: newId(), volumes }
    const [root, ...data] = places.map(({ deviceId, chain }) => ({
      deviceId,
      chain,
      serial: volumes.get(deviceId)?.replaceAll('-', '') ?? '',
    }))
    if (!root) return
    await warm.prepare({ ...spec, vm: kept.vm, generationId: kept.generationId, disks: [root, ...data] })
    free.set(kept.vm, kept)
    if (closed) await warm.end(kept.vm)
  }

  /** What ended by itself, what was taken for a clone that did not come, and what nobody asked for lately. */
  async function forget(): Promise<void> {
    const alive = warm.waiting()
    const now = Date.now()
    for (const vm of free.keys()) if (!alive.has(vm)) free.delete(vm)
    for (const [vm, at] of taken)
      if (!alive.has(vm) || now - at > takenLimitMs) {
        taken.delete(vm)
        await warm.end(vm)
      }
    for (const [image, each] of asks) {
      const isOver = each.every(({ at }) => now - at > forgottenAfterMs)
      if (isOver && ![...free.values()].some(kept => kept.image === image)) asks.delete(image)
    }
  }

  const timer = setInterval(() => {
    look().catch(error => log.warn({ err: error }, 'nothing waits for clones'))
  }, everyMs)
  timer.unref()
  return {
    spares,
    look,
    async close() {
      closed = true
      clearInterval(timer)
      await looking?.catch(() => {})
      for (const vm of warm.waiting().keys()) await warm.end(vm)
    },
  }
}
