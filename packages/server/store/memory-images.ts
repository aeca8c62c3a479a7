// Memory images on disk: reserved before a file is made, published when the files are safe. One is named by a VM snapshot, by a fork,
// and by each machine that went on from it, as long as that runs.
import type { AccountId, MemoryImageId, StoragePoolId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { sql } from 'kysely'
import type { MemoryImageFacts, MemoryImageRef } from '../drivers/driver.ts'
import type { Db, Tx } from './database.ts'

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
  await db.updateTable('fork').set({ memory_image_id: null }).where('memory_image_id', '=', id).execute()
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

/** A shared lock: many machines may go on from one image, but nobody may remove it before the transaction ends. */
export async function holdReadyMemory(tx: Tx, id: MemoryImageId): Promise<void> {
  const image = await tx.selectFrom('memory_image').select('state').where('id', '=', id).forShare().executeTakeFirst()
  if (image?.state === 'ready') return
  const now = image?.state ?? 'gone'
  throw new Problem('refused', 'memory-image-missing', `The memory image ${id} is ${now}; no machine can go on from it`)
}

const isUnneeded = sql<boolean>`(m.state in ('ready', 'removing')
  and not exists (select from vm_snapshot s where s.memory_image_id = m.id)
  and not exists (select from fork f where f.memory_image_id = m.id)
  and not exists (select from vm where vm.memory_image_id = m.id))`

/** Whether nobody names it; it is locked until the transaction ends. */
export async function isMemoryUnneeded(tx: Tx, id: MemoryImageId): Promise<boolean> {
  await tx.selectFrom('memory_image').select('id').where('id', '=', id).forUpdate().execute()
  const { rows } = await sql`select 1 from memory_image m where m.id = ${id} and ${isUnneeded}`.execute(tx)
  return rows.length > 0
}

/** Images that nobody names, and that no unfinished job speaks of. */
export async function unneededMemories(db: Db): Promise<MemoryImageId[]> {
  const { rows } = await sql<{ id: MemoryImageId }>`
    select m.id from memory_image m where ${isUnneeded}
      and not exists (select from job j where j.completed is null and
        (j.input::text like '%' || m.id || '%' or exists (
          select from job_step s where s.job_id = j.id and s.made::text like '%' || m.id || '%')))`.execute(db)
  return rows.map(({ id }) => id)
}
