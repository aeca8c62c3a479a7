// What a deployment's root disk takes on each pool at once: a full clone takes the bytes of what it is made from (a template, a VM
// snapshot), a linked clone next to nothing, and either takes them once more where the pool has no copy yet.
import type { CloneType } from '@ramet/core/clone-type.ts'
import type { LayerId, StoragePoolId, TemplateId } from '@ramet/core/ids.ts'
import type { Tx } from '../store/database.ts'

const overlayBytes = 256 * 1024

export interface PoolCopy {
  readonly pool: StoragePoolId
  /** The layer there that the disk stands on or is copied from, if it is ready. */
  readonly layer: LayerId | null
  /** What its bytes are on the pool; before a template is copied, the size of its file. */
  readonly bytes: number
}

export async function copiesOf(tx: Tx, template: TemplateId): Promise<PoolCopy[]> {
  const rows = await tx
    .selectFrom('storage_pool')
    .leftJoin('template_spool_ref as ref', join =>
      join
        .onRef('ref.pool_id', '=', 'storage_pool.id')
        .on('ref.template_id', '=', template)
        .on('ref.state', '=', 'Ready')
        .on('ref.marked_for_gc', '=', false),
    )
    .leftJoin('layer', 'layer.id', 'ref.layer_id')
    .innerJoin('template', join => join.on('template.id', '=', template))
    .select(['storage_pool.id', 'ref.layer_id', 'layer.allocated_bytes', 'template.physical_bytes'])
    .execute()
  return rows.map(row => ({ pool: row.id, layer: row.layer_id, bytes: row.allocated_bytes ?? row.physical_bytes ?? 0 }))
}

/** For a root disk that begins empty: no pool has anything of it. */
export async function emptyOnEach(tx: Tx): Promise<PoolCopy[]> {
  const pools = await tx.selectFrom('storage_pool').select('id').execute()
  return pools.map(({ id }) => ({ pool: id, layer: null, bytes: 0 }))
}

export function diskDemand(
  copies: readonly PoolCopy[],
  typeOn: (pool: StoragePoolId) => CloneType,
): ReadonlyMap<StoragePoolId, number> {
  return new Map(
    copies.map(({ pool, layer, bytes }) => {
      const disk = typeOn(pool) === 'full' ? bytes : overlayBytes
      return [pool, disk + (layer ? 0 : bytes)]
    }),
  )
}
