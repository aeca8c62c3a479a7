// Keeps what is told of secondary storage near the truth: its free space, and whether it is there.
import { asProblem } from '@ramet/core/problem.ts'
import { requireStore, storeSpace } from '../images/store.ts'
import type { Log } from '../log.ts'
import type { Database } from '../store/database.ts'

export interface ImageStoreWatch {
  refresh(): Promise<void>
  close(): void
}

export function watchImageStores(db: Database, log: Log, everyMs = 10_000): ImageStoreWatch {
  async function refresh(): Promise<void> {
    const stores = await db.selectFrom('image_store').selectAll().where('removed', 'is', null).execute()
    for (const store of stores) {
      const now = await measure(store)
      const isSame = now.problem === store.problem && now.total_bytes === store.total_bytes
      if (now.problem !== store.problem)
        log.warn(
          { store: store.name, ...now },
          now.problem ? 'a secondary storage is not there' : 'a secondary storage is back',
        )
      if (!isSame || now.free_bytes !== store.free_bytes)
        await db.updateTable('image_store').set(now).where('id', '=', store.id).execute()
    }
  }
  const timer = setInterval(() => {
    refresh().catch(error => log.warn({ err: error }, 'cannot measure the secondary storage'))
  }, everyMs)
  timer.unref()
  return { refresh, close: () => clearInterval(timer) }
}

type Store = Parameters<typeof requireStore>[0] & { readonly total_bytes: number; readonly free_bytes: number }

async function measure({ total_bytes, free_bytes, ...store }: Store) {
  return storeSpace(store).then(
    ({ totalBytes, freeBytes }) => ({ total_bytes: totalBytes, free_bytes: freeBytes, problem: null }),
    error => ({ total_bytes, free_bytes, problem: asProblem(error).message }),
  )
}
