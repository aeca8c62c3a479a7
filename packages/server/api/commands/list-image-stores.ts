import { selectImageStores } from '../../store/infrastructure.ts'
import { listCommand } from '../command.ts'
import { containing } from '../paging.ts'
import { flag, id, text } from '../parameters.ts'
import { narrowTo, pageOf, reads } from '../query.ts'
import { imageStoreView } from '../views/image-store.ts'

export const listImageStores = listCommand({
  name: 'listImageStores',
  description: 'Lists secondary storage, where templates are kept',
  permission: 'admin',
  params: {
    id: id<'image-store'>('the image store'),
    name: text('exact name'),
    zoneid: id<'zone'>('those of a zone'),
    provider: text('those of a kind, such as NFS'),
    protocol: text('file: there are no others'),
    readonly: flag('only those to which nothing new goes, or only the others'),
  },
  view: imageStoreView,
  run: async ({ app, params, page }) => {
    if (params.protocol && params.protocol.toLowerCase() !== 'file') return { count: 0, items: [] }
    let stores = selectImageStores(app.db).orderBy('image_store.name').orderBy('image_store.id')
    stores = narrowTo(stores, {
      'image_store.id': params.id,
      'image_store.name': params.name,
      'image_store.zone_id': params.zoneid,
    })
    if (params.provider) stores = stores.where(reads('image_store.provider', params.provider))
    if (params.readonly !== undefined) stores = stores.where('image_store.read_only', '=', params.readonly)
    if (page.keyword) stores = stores.where('image_store.name', 'ilike', containing(page.keyword))
    return pageOf(stores, page)
  },
})
