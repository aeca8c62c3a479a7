// A file is written to a secondary storage only when that is there: under an unmounted file system it would be lost when that is back.
import { requireStore } from '../images/store.ts'
import type { Db } from '../store/database.ts'
import { storeOfFile } from '../store/image-stores.ts'

export async function requireStoreOf(db: Db, file: string): Promise<void> {
  const store = await storeOfFile(db, file)
  if (store) await requireStore(store)
}
