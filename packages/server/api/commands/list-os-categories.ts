import { listCommand } from '../command.ts'
import { containing } from '../paging.ts'
import { id, text } from '../parameters.ts'
import { narrowTo, pageOf } from '../query.ts'
import { osCategoryView } from '../views/os-type.ts'

export const listOsCategories = listCommand({
  name: 'listOsCategories',
  description: 'Lists families of guest operating systems',
  permission: 'user',
  params: {
    id: id<'os-category'>('the family'),
    name: text('exact name'),
  },
  view: osCategoryView,
  run: ({ app, params, page }) => {
    let categories = app.db.selectFrom('os_category').selectAll().orderBy('name')
    categories = narrowTo(categories, {
      id: params.id,
      name: params.name,
    })
    if (page.keyword) categories = categories.where('name', 'ilike', containing(page.keyword))
    return pageOf(categories, page)
  },
})
