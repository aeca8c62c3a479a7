// What an instant clone counts on its host is looked at while it runs. It begins with a share of its memory (instantclone.memory.percent);
// one that has come to hold more counts that, so that no other is placed on memory which is taken already.
import type { VmId } from '@ramet/core/ids.ts'
import type { Drivers } from '../drivers/drivers.ts'
import { countedMemory } from '../jobs/run-clone.ts'
import type { Log } from '../log.ts'
import type { Settings } from '../settings.ts'
import type { Database } from '../store/database.ts'

export interface HeldMemoryWatch {
  look(): Promise<void>
  close(): void
}

/** Each look costs the kernel some milliseconds for a machine. */
const lookEveryMs = 60_000

export function watchHeldMemory(
  { db, settings, log }: { db: Database; settings: Settings; log: Log },
  drivers: Drivers,
  everyMs = lookEveryMs,
): HeldMemoryWatch {
  async function look(): Promise<void> {
    const clones = await db
      .selectFrom('vm')
      .select(['id', 'cluster_id', 'memory_mib', 'memory_counted_mib'])
      .where('state', '=', 'Running')
      .where('memory_counted_mib', 'is not', null)
      .execute()
    for (const { id, cluster_id, memory_mib, memory_counted_mib } of clones) {
      const held = await drivers
        .of(cluster_id)
        .machines.heldMemory(id)
        .catch(() => null)
      if (held === null) continue
      const counted = Math.min(memory_mib, Math.max(Math.ceil(held / 2 ** 20), countedMemory(settings, { memory_mib })))
      if (counted !== memory_counted_mib) await note(id, counted)
    }
  }

  /** It may have gone off meanwhile, and counts nothing then. */
  async function note(id: VmId, counted: number): Promise<void> {
    await db
      .updateTable('vm')
      .set({ memory_counted_mib: counted })
      .where('id', '=', id)
      .where('state', '=', 'Running')
      .where('memory_counted_mib', 'is not', null)
      .execute()
  }

  const timer = setInterval(() => {
    look().catch(error => log.warn({ err: error }, 'cannot look what memory clones hold'))
  }, everyMs)
  timer.unref()
  return { look, close: () => clearInterval(timer) }
}
