import { newId } from '@ramet/core/ids.ts'
import { prepareStore, requirePassage, storeSpace } from '../../images/store.ts'
import { holdPlace, imageStoreById, selectZones } from '../../store/infrastructure.ts'
import { unknownId } from '../caller.ts'
import { changing, withFreeName } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { choice, id, invalid, label, text } from '../parameters.ts'
import { demandOwnFolder, storageFolder } from '../storage-url.ts'
import { imageStoreView, type ListedImageStore } from '../views/image-store.ts'

export const addImageStore = objectCommand({
  name: 'addImageStore',
  description:
    'Adds secondary storage: a folder of the server’s machine, such as a mounted NFS share, which is made if it is missing',
  permission: 'admin',
  params: {
    provider: choice('what kind it is; a share is mounted by the operator', ['NFS']).must,
    name: label('name; its folder when absent'),
    url: text('file:///path', 1024).must,
    zoneid: id<'zone'>('its zone; the first one when absent'),
  },
  view: imageStoreView,
  run: ({ app, caller, params }): Promise<ListedImageStore> => {
    const { path } = storageFolder('url', params.url)
    const name = params.name ?? path
    return withFreeName('name', name, () =>
      changing({ app, caller }, async (tx, tell) => {
        const zone = params.zoneid ?? (await selectZones(tx).orderBy('created').executeTakeFirst())?.id
        if (!zone) throw invalid('zoneid', 'is missing')
        if (!(await holdPlace(tx, 'zone', zone, 'share'))) throw unknownId('zoneid', zone)
        await demandOwnFolder(tx, app, path)
        const store = { id: newId<'image-store'>(), path }
        await tx
          .insertInto('image_store')
          .values({ ...store, zone_id: zone, name, provider: params.provider })
          .execute()
        // The folder last: whatever the database refuses has left no mark on it.
        await prepareStore(store)
        await requirePassage(path)
        const { totalBytes, freeBytes } = await storeSpace(store)
        await tx
          .updateTable('image_store')
          .set({ total_bytes: totalBytes, free_bytes: freeBytes })
          .where('id', '=', store.id)
          .execute()
        await tell({
          type: 'IMAGE.STORE.CREATE',
          description: `added image store ${name} at ${path}`,
          resourceType: 'ImageStore',
          resource: store.id,
        })
        return (await imageStoreById(tx, store.id)) as ListedImageStore
      }),
    )
  },
})
