import { sql } from 'kysely'
import { releaseStore } from '../../images/store.ts'
import { holdPlace, imageStoreById, remaining, removePlace } from '../../store/infrastructure.ts'
import { unknownId } from '../caller.ts'
import { changing, inUse } from '../changing.ts'
import { plainCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { successView } from '../views/success.ts'

export const deleteImageStore = plainCommand({
  name: 'deleteImageStore',
  description: 'Removes an image store without images; its folder stays',
  permission: 'admin',
  params: { id: id<'image-store'>('the image store').must },
  answer: successView,
  async run({ app, caller, params }) {
    const store = await imageStoreById(app.db, params.id)
    if (!store) throw unknownId('id', params.id)
    await changing({ app, caller }, async (tx, tell) => {
      if (!(await holdPlace(tx, 'image_store', params.id, 'update'))) throw unknownId('id', params.id)
      const images = sql`template where image_store_id = ${params.id} and removed is null`
      const uploads = sql`volume where image_store_id = ${params.id} and removed is null`
      const snapshots = sql`snapshot where image_store_id = ${params.id} and removed is null`
      const rest = await remaining(tx, { 'templates or ISOs': images, 'uploaded volumes': uploads, snapshots })
      if (rest.length > 0) throw inUse(`Image store ${store.name}`, rest)
      await removePlace(tx, 'image_store', params.id)
      await tell({
        type: 'IMAGE.STORE.DELETE',
        description: `removed image store ${store.name}`,
        resourceType: 'ImageStore',
        resource: params.id,
      })
    })
    await releaseStore(store).catch(error =>
      app.log.warn({ err: error, path: store.path }, 'the folder of a removed image store keeps its mark'),
    )
    return { success: true }
  },
})
