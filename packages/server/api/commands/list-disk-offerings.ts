import { listCommand } from '../command.ts'
import { offeringIsIn, offeringState } from '../offerings.ts'
import { containing } from '../paging.ts'
import { id, text } from '../parameters.ts'
import { narrowTo, pageOf } from '../query.ts'
import { diskOfferingView } from '../views/disk-offering.ts'

export const listDiskOfferings = listCommand({
  name: 'listDiskOfferings',
  description: 'Lists disk offerings',
  permission: 'user',
  params: {
    id: id<'disk-offering'>('the disk offering'),
    name: text('exact name'),
    storagetype: text('shared or local'),
    state: offeringState,
  },
  view: diskOfferingView,
  run: ({ app, params, page }) => {
    let offerings = app.db.selectFrom('disk_offering').selectAll().orderBy('sort_key').orderBy('name').orderBy('id')
    offerings = narrowTo(offerings, {
      id: params.id,
      name: params.name,
      storage_type: params.storagetype,
    })
    if (page.keyword) offerings = offerings.where('name', 'ilike', containing(page.keyword))
    return pageOf(offerings.where(offeringIsIn(params.state)), page)
  },
})
