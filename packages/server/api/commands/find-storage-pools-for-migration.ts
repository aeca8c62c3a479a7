import type { StoragePoolId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../../app.ts'
import { demandPool } from '../../jobs/migrate-volume.ts'
import { selectPools } from '../../store/infrastructure.ts'
import { vmById } from '../../store/vms.ts'
import type { Volume } from '../../store/volumes.ts'
import { listCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { pageOf } from '../query.ts'
import { boolean, view } from '../view.ts'
import { type ListedStoragePool, storagePoolView } from '../views/storage-pool.ts'
import { volumeOfCall } from '../volume-call.ts'

const migrationPoolView = view<ListedStoragePool & { readonly suitable: boolean }>('storagepool', {
  ...storagePoolView.fields,
  suitableformigration: boolean('whether migrateVolume takes it for this volume', pool => pool.suitable),
})

export const findStoragePoolsForMigration = listCommand({
  name: 'findStoragePoolsForMigration',
  description: 'Lists the other primary storages of a volume’s zone, and whether the volume can be moved there',
  permission: 'admin',
  params: { id: id<'volume'>('the volume').must },
  view: migrationPoolView,
  async run({ app, caller, params, page }) {
    const volume = await volumeOfCall(app, caller, params.id)
    const pools = selectPools(app.db)
      .where('zone.id', '=', volume.zone_id)
      .$if(volume.pool_id !== null, query => query.where('storage_pool.id', '!=', volume.pool_id as StoragePoolId))
      .orderBy('storage_pool.name')
      .orderBy('storage_pool.id')
    const { count, items } = await pageOf(pools, page)
    const judged = await Promise.all(
      items.map(async pool => ({ ...pool, suitable: await isSuitable(app, volume, pool.id) })),
    )
    return { count, items: judged }
  },
})

async function isSuitable(app: App, volume: Volume, pool: StoragePoolId): Promise<boolean> {
  const vm = volume.vm_id ? ((await vmById(app.db, volume.vm_id)) ?? null) : null
  try {
    await app.db.transaction().execute(tx => demandPool(tx, app.settings, volume, vm, pool))
    return true
  } catch (error) {
    if (error instanceof Problem && ['refused', 'no-capacity'].includes(error.kind)) return false
    throw error
  }
}
