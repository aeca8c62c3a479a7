// Memory images on disk: reserved before a file is made, published when the files are safe.
import type { AccountId, MemoryImageId, StoragePoolId } from '@ramet/core/ids.ts'
import type { MemoryImageFacts, MemoryImageRef } from '../drivers/driver.ts'
import type { Db } from './database.ts'

export async function reserveMemory(
  db: Db,
  image: { id: MemoryImageId; pool: StoragePoolId; account: AccountId; memoryBytes: number },
): Promise<void> {
  await db
    .insertInto('memory_image')
    .values({
      id: image.id,
      pool_id: image.pool,
      account_id: image.account,
      state: 'creating',
      memory_bytes: image.memoryBytes,
      allocated_bytes: image.memoryBytes,
    })
    .execute()
}

export async function publishMemory(db: Db, id: MemoryImageId, facts: MemoryImageFacts): Promise<void> {
  await db
    .updateTable('memory_image')
    .set({
      state: 'ready',
      memory_bytes: facts.memoryBytes,
      allocated_bytes: facts.allocatedBytes,
      shape: `${facts.machineType}, ${facts.cpuModel}, version ${facts.hypervisorVersion}`,
    })
    .where('id', '=', id)
    .execute()
}

/** From here on no machine can go on from it, and its files may go. */
export async function markMemoryRemoving(db: Db, id: MemoryImageId): Promise<void> {
  await db.updateTable('memory_image').set({ state: 'removing' }).where('id', '=', id).execute()
}

export async function forgetMemory(db: Db, id: MemoryImageId): Promise<void> {
  await db.updateTable('vm_snapshot').set({ memory_image_id: null }).where('memory_image_id', '=', id).execute()
  await db.deleteFrom('memory_image').where('id', '=', id).execute()
}

/** Where the image is, or undefined when it has been forgotten already. */
export async function memoryRefIfAny(db: Db, id: MemoryImageId): Promise<MemoryImageRef | undefined> {
  const row = await db
    .selectFrom('memory_image')
    .innerJoin('storage_pool', 'storage_pool.id', 'memory_image.pool_id')
    .select(['storage_pool.id as pool', 'storage_pool.path'])
    .where('memory_image.id', '=', id)
    .executeTakeFirst()
  return row && { id, pool: { id: row.pool, path: row.path } }
}

export async function memoryRef(db: Db, id: MemoryImageId): Promise<MemoryImageRef> {
  const ref = await memoryRefIfAny(db, id)
  if (!ref) throw new Error(`there is no memory image ${id}`)
  return ref
}
