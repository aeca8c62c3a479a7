import { listedPool } from '../../store/infrastructure.ts'
import { movePool, poolById, setPool } from '../../store/pools.ts'
import { unknownId } from '../caller.ts'
import { changing, withFreeName } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { flag, id, label } from '../parameters.ts'
import { storageTags } from '../storage-tags.ts'
import { type ListedStoragePool, storagePoolView } from '../views/storage-pool.ts'

export const updateStoragePool = objectCommand({
  name: 'updateStoragePool',
  description: 'Changes a storage pool; a Disabled one takes no new disks, and machines with disks there go on',
  permission: 'admin',
  params: {
    id: id<'storage-pool'>('the storage pool').must,
    name: label('new name'),
    tags: storageTags,
    enabled: flag('false: it takes no new disks'),
  },
  view: storagePoolView,
  run: ({ app, caller, params }): Promise<ListedStoragePool> =>
    withFreeName('name', params.name, () =>
      changing({ app, caller }, async (tx, tell) => {
        if (!(await poolById(tx, params.id))) throw unknownId('id', params.id)
        if (params.enabled !== undefined) await movePool(tx, params.id, params.enabled ? 'enable' : 'disable')
        if (params.name ?? params.tags) await setPool(tx, params.id, { name: params.name, tags: params.tags })
        const pool = (await listedPool(tx, params.id)) as ListedStoragePool
        await tell({
          type: 'STORAGE.POOL.EDIT',
          description: `changed storage pool ${pool.name}`,
          resourceType: 'StoragePool',
          resource: pool.id,
        })
        return pool
      }),
    ),
})
