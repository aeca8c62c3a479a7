import { selectTags, taggedKinds } from '../../store/tags.ts'
import { listCommand } from '../command.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { choice, id, text } from '../parameters.ts'
import { narrowTo, pageOf } from '../query.ts'
import { tagView } from '../views/tag.ts'

export const listTags = listCommand({
  name: 'listTags',
  description: 'Lists tags',
  permission: 'user',
  params: {
    ...ownershipParameters,
    resourcetype: choice('those on things of a kind', taggedKinds),
    resourceid: id<'resource'>('those on one thing'),
    key: text('those with a key'),
    value: text('those with a value'),
    customer: text('those that somebody put there'),
  },
  view: tagView,
  run: ({ app, caller, params, page }) => {
    let tags = narrowToOwner(selectTags(app.db), 'resource_tag.account_id', caller, params)
    tags = tags.orderBy('resource_tag.resource_id').orderBy('resource_tag.key')
    tags = narrowTo(tags, {
      resource_type: params.resourcetype,
      resource_id: params.resourceid,
      key: params.key,
      value: params.value,
      customer: params.customer,
    })
    if (page.keyword) tags = tags.where('key', 'ilike', containing(page.keyword))
    return pageOf(tags, page)
  },
})
