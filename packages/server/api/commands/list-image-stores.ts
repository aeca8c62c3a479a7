import { selectImageStores } from '../../store/infrastructure.ts'
import { listCommand } from '../command.ts'
import { containing } from '../paging.ts'
import { id, text } from '../parameters.ts'
import { pageOf } from '../query.ts'
import { imageStoreView } from '../views/image-store.ts'

export const listImageStores = listCommand({
  name: 'listImageStores',
  description: 'Lists secondary storage, where templates are kept',
  permission: 'admin',
  params: {
    id: id<'image-store'>('the image store'),
    name: text('exact name'),
    zoneid: id<'zone'>('those of a zone'),
  },
  view: imageStoreView,
  run: ({ app, params, page }) => {
    let stores = selectImageStores(app.db).orderBy('image_store.name').orderBy('image_store.id')
    if (params.id) stores = stores.where('image_store.id', '=', params.id)
    if (params.name) stores = stores.where('image_store.name', '=', params.name)
    if (params.zoneid) stores = stores.where('image_store.zone_id', '=', params.zoneid)
    if (page.keyword) stores = stores.where('image_store.name', 'ilike', containing(page.keyword))
    return pageOf(stores, page)
  },
})
