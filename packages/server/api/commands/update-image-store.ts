import { holdPlace, imageStoreById } from '../../store/infrastructure.ts'
import { unknownId } from '../caller.ts'
import { changing, withFreeName } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { flag, id, label } from '../parameters.ts'
import { imageStoreView, type ListedImageStore } from '../views/image-store.ts'

export const updateImageStore = objectCommand({
  name: 'updateImageStore',
  description: 'Changes an image store; a read-only one gets no new images, and what is there is used on',
  permission: 'admin',
  envelope: 'updateImageStore', // as upstream writes it
  params: {
    id: id<'image-store'>('the image store').must,
    name: label('new name'),
    readonly: flag('nothing new is put there'),
  },
  view: imageStoreView,
  run: ({ app, caller, params }): Promise<ListedImageStore> =>
    withFreeName('name', params.name, () =>
      changing({ app, caller }, async (tx, tell) => {
        if (!(await holdPlace(tx, 'image_store', params.id, 'update'))) throw unknownId('id', params.id)
        await tx
          .updateTable('image_store')
          .set(eb => ({ name: params.name ?? eb.ref('name'), read_only: params.readonly ?? eb.ref('read_only') }))
          .where('id', '=', params.id)
          .execute()
        const store = (await imageStoreById(tx, params.id)) as ListedImageStore
        await tell({
          type: 'IMAGE.STORE.EDIT',
          description: `changed image store ${store.name}`,
          resourceType: 'ImageStore',
          resource: store.id,
        })
        return store
      }),
    ),
})
