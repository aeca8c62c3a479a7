// The layer forest on disk: reserve a layer before its file is made, publish it when the file is safe, and let go of it
// by the plan of core/layer.ts. Edges are foreign keys: the database itself refuses to forget a layer in use.
import type { AccountId, LayerId, StoragePoolId, VolumeId } from '@ramet/core/ids.ts'
import { type Forest, forestOf, type Layer } from '@ramet/core/layer.ts'
import { Problem } from '@ramet/core/problem.ts'
import { type RawBuilder, sql } from 'kysely'
import type { LayerChain, LayerFacts, LayerRef } from '../drivers/driver.ts'
import { demandShortChain } from './chains.ts'
import type { Db, Tx } from './database.ts'
import type { Row } from './tables.ts'

export interface Reservation {
  readonly id: LayerId
  readonly pool: StoragePoolId
  readonly parent: LayerId | null
  readonly account: AccountId | null
  readonly virtualBytes: number
  /** What the file is going to occupy, counted against the pool until it is made. */
  readonly expectedBytes: number
}

/** Names the layer before anything is written; its parent cannot go from this moment. */
export async function reserveLayer(tx: Tx, layer: Reservation): Promise<void> {
  if (layer.parent) {
    await holdReadyLayer(tx, layer.parent)
    await demandShortChain(tx, layer.parent)
  }
  await tx
    .insertInto('layer')
    .values({
      id: layer.id,
      pool_id: layer.pool,
      parent_id: layer.parent,
      account_id: layer.account,
      state: 'creating',
      virtual_bytes: layer.virtualBytes,
      allocated_bytes: layer.expectedBytes,
    })
    .execute()
}

/** A shared lock: many may stand on one layer at once, but nobody may remove it meanwhile. */
export async function holdReadyLayer(tx: Tx, id: LayerId): Promise<void> {
  const row = await tx.selectFrom('layer').select('state').where('id', '=', id).forShare().executeTakeFirst()
  if (row?.state !== 'ready')
    throw new Problem(
      'refused',
      'layer-not-ready',
      `The disk layer ${id} is ${row?.state ?? 'gone'}; nothing new can stand on it`,
    )
}

export async function publishLayer(tx: Tx, id: LayerId, facts: LayerFacts): Promise<void> {
  await tx
    .updateTable('layer')
    .set({ state: 'ready', virtual_bytes: facts.virtualBytes, allocated_bytes: facts.allocatedBytes })
    .where('id', '=', id)
    .execute()
}

/** The volume wrote the layer until a cut: what others put on it is a delta of that volume's machine. */
export async function noteWriter(tx: Tx, id: LayerId, volume: VolumeId): Promise<void> {
  await tx.updateTable('layer').set({ volume_id: volume }).where('id', '=', id).execute()
}

/** From here on nothing can be put on the layer, and its file may go. A layer that something stands on is refused. */
export async function markRemoving(tx: Tx, id: LayerId): Promise<void> {
  await tx.selectFrom('layer').select('id').where('id', '=', id).forUpdate().execute()
  const child = await tx.selectFrom('layer').select('id').where('parent_id', '=', id).executeTakeFirst()
  if (child) throw new Problem('in-use', 'layer-in-use', `The disk layer ${id} carries others and stays`)
  await tx.updateTable('layer').set({ state: 'removing' }).where('id', '=', id).execute()
}

/** What `id` lacked of the layers between it and `parent` it holds now. */
export async function standOn(tx: Tx, id: LayerId, parent: LayerId | null, facts: LayerFacts): Promise<void> {
  await tx
    .updateTable('layer')
    .set({ parent_id: parent, allocated_bytes: facts.allocatedBytes })
    .where('id', '=', id)
    .execute()
}

/** The layer's files are gone; so is its record, and that of a copy which was only waiting for it. */
export async function forgetLayer(tx: Db, id: LayerId): Promise<void> {
  await tx.deleteFrom('template_spool_ref').where('layer_id', '=', id).where('marked_for_gc', '=', true).execute()
  await tx.deleteFrom('vmsnapshot_spool_ref').where('id', '=', id).where('state', '=', 'Destroying').execute()
  await tx.deleteFrom('layer').where('id', '=', id).execute()
}

export async function layerRef(db: Db, id: LayerId): Promise<LayerRef> {
  const [ref] = (await layerChain(db, id)).slice(-1)
  return ref as LayerRef
}

/** The layer and all it stands on, base first. */
export async function layerChain(db: Db, id: LayerId): Promise<LayerChain> {
  const { rows } = await sql<{ id: LayerId; pool_id: StoragePoolId; path: string }>`
    with recursive chain as (
      select l.*, 0 as depth from layer l where l.id = ${id}
      union all
      select l.*, c.depth + 1 from layer l join chain c on l.id = c.parent_id)
    select c.id, c.pool_id, p.path from chain c join storage_pool p on p.id = c.pool_id order by c.depth desc`.execute(
    db,
  )
  const [base, ...rest] = rows.map(row => ({ id: row.id, pool: { id: row.pool_id, path: row.path } }))
  if (!base) throw new Problem('internal', 'unknown-layer', `There is no disk layer ${id}`)
  return [base, ...rest]
}

/** What the layer and all it stands on occupy: at most what a flat copy is going to. */
export async function chainBytes(db: Db, id: LayerId): Promise<number> {
  const ids = (await layerChain(db, id)).map(layer => layer.id)
  const rows = await db.selectFrom('layer').select('allocated_bytes').where('id', 'in', ids).execute()
  return rows.reduce((sum, { allocated_bytes }) => sum + allocated_bytes, 0)
}

/** All layers of the pool as the plain data that core/layer.ts plans with. */
export async function forestOfPool(db: Db, pool: StoragePoolId): Promise<Forest> {
  return readForest(db, sql`layer.pool_id = ${pool}`)
}

/** As much of the forest as decides what becomes of these layers: what each stands on, and whatever else stands on that. */
export async function forestAround(db: Db, ids: readonly LayerId[]): Promise<Forest> {
  const near = sql<LayerId>`
    with recursive below as (
      select l.id, l.parent_id from layer l where l.id = any(${ids}::uuid[])
      union
      select l.id, l.parent_id from layer l join below b on l.id = b.parent_id)
    select id from below union select l.id from layer l join below b on l.parent_id = b.id`
  return readForest(db, sql`layer.id in (${near})`)
}

async function readForest(db: Db, which: RawBuilder<unknown>): Promise<Forest> {
  const { rows } = await sql<Layer>`
    select layer.id, layer.parent_id as parent, layer.account_id is not null as owned, layer.allocated_bytes as bytes,
      exists (select from volume v where layer.id in (v.layer_id, v.seed_id))
        or exists (select from vm_snapshot_disk d where d.layer_id = layer.id)
        or exists (select from fork_disk f where f.layer_id = layer.id)
        or exists (select from template_spool_ref r where r.layer_id = layer.id and not r.marked_for_gc)
        or exists (select from vmsnapshot_spool_ref r where r.id = layer.id and r.state <> 'Destroying') as named
    from layer where ${which}`.execute(db)
  return forestOf(rows)
}

export async function layersOfPool(db: Db, pool: StoragePoolId): Promise<Row<'layer'>[]> {
  return db.selectFrom('layer').selectAll().where('pool_id', '=', pool).execute()
}

/** The layer's row, locked until the transaction ends. */
export async function holdLayer(tx: Tx, id: LayerId): Promise<Row<'layer'> | undefined> {
  return tx.selectFrom('layer').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
}

/** Where the layer is, or undefined when it has been forgotten already. */
export async function layerRefIfAny(db: Db, id: LayerId): Promise<LayerRef | undefined> {
  const row = await db.selectFrom('layer').select('id').where('id', '=', id).executeTakeFirst()
  return row && layerRef(db, id)
}

/** Layers that are whole or half removed, that nobody names, and that no unfinished job speaks of. */
export async function unneededLayers(tx: Tx): Promise<LayerId[]> {
  const { rows } = await sql<{ id: LayerId }>`
    select l.id from layer l
    where l.state in ('ready', 'removing')
      and not exists (select 1 from volume v where l.id in (v.layer_id, v.seed_id))
      and not exists (select 1 from vm_snapshot_disk d where d.layer_id = l.id)
      and not exists (select 1 from fork_disk f where f.layer_id = l.id)
      and not exists (select 1 from template_spool_ref r where r.layer_id = l.id and not r.marked_for_gc)
      and not exists (select 1 from vmsnapshot_spool_ref r where r.id = l.id and r.state <> 'Destroying')
      and not exists (select 1 from job j where j.completed is null and
        (j.input::text like '%' || l.id || '%' or exists (
          select 1 from job_step s where s.job_id = j.id and s.made::text like '%' || l.id || '%')))`.execute(tx)
  return rows.map(({ id }) => id)
}
