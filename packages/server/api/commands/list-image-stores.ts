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
    let stores = app.db
      .selectFrom('image_store')
      .innerJoin('zone', 'zone.id', 'image_store.zone_id')
      .selectAll('image_store')
      .select('zone.name as zone_name')
      .orderBy('image_store.name')
    if (params.id) stores = stores.where('image_store.id', '=', params.id)
    if (params.name) stores = stores.where('image_store.name', '=', params.name)
    if (params.zoneid) stores = stores.where('image_store.zone_id', '=', params.zoneid)
    if (page.keyword) stores = stores.where('image_store.name', 'ilike', containing(page.keyword))
    return pageOf(stores, page)
  },
})
