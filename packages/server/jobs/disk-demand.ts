// What a deployment's root disk takes on each pool at once: a full clone takes the template's bytes, a linked clone next
// to nothing, and either takes the template's bytes once more where the pool has no copy of it yet.
import type { CloneType } from '@ramet/core/clone-type.ts'
import type { StoragePoolId, TemplateId } from '@ramet/core/ids.ts'
import type { Tx } from '../store/database.ts'

const overlayBytes = 256 * 1024

export async function diskDemand(
  tx: Tx,
  template: TemplateId,
  typeOn: (pool: StoragePoolId) => CloneType,
): Promise<ReadonlyMap<StoragePoolId, number>> {
  const pools = await tx
    .selectFrom('storage_pool')
    .leftJoin('template_spool_ref as ref', join =>
      join
        .onRef('ref.pool_id', '=', 'storage_pool.id')
        .on('ref.template_id', '=', template)
        .on('ref.state', '=', 'Ready'),
    )
    .innerJoin('template', join => join.on('template.id', '=', template))
    .select(['storage_pool.id', 'ref.id as copy', 'template.physical_bytes'])
    .execute()
  return new Map(
    pools.map(({ id, copy, physical_bytes }) => {
      const bytes = physical_bytes ?? 0
      return [id, (typeOn(id) === 'full' ? bytes : overlayBytes) + (copy ? 0 : bytes)]
    }),
  )
}
