import { Problem } from '@ramet/core/problem.ts'
import { hasTags } from '../../store/tags.ts'
import { selectTemplates } from '../../store/template-list.ts'
import { listCommand } from '../command.ts'
import { isOwnerAsked, narrowToOwner, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { choice, flag, id, list, text } from '../parameters.ts'
import { pageOf, reads } from '../query.ts'
import { tagFilter } from '../tags.ts'
import { templateView } from '../views/template.ts'

const filters = [
  'featured',
  'self',
  'selfexecutable',
  'sharedexecutable',
  'executable',
  'community',
  'all',
  'shared',
] as const

export const listTemplates = listCommand({
  name: 'listTemplates',
  description: 'Lists templates',
  permission: 'user',
  params: {
    ...ownershipParameters,
    ...tagFilter,
    templatefilter: choice('which', filters).must,
    id: id<'template'>('the template'),
    ids: list('the templates', id<'template'>('a template')),
    name: text('exact name'),
    zoneid: id<'zone'>('those of a zone'),
    hypervisor: text('those for a hypervisor'),
    storageid: id<'storage-pool'>('those with a copy on a primary storage'),
    isready: flag('only those that machines can be made from, or only the others'),
    showremoved: flag('deleted ones too'),
  },
  view: templateView,
  async run({ app, caller, params, page }) {
    const { templatefilter: filter, storageid } = params
    if (filter === 'all' && caller.account.type === 'User')
      throw new Problem(
        'invalid',
        'filter-all',
        'Parameter templatefilter: only administrators of domains may ask for "all"',
      )
    let templates = selectTemplates(app.db)
      .where(hasTags('template.id', params.tags))
      .orderBy('template.created', 'desc')
      .orderBy('template.id')
    if (!params.showremoved) templates = templates.where('template.state', '=', 'Active')
    if (filter === 'all')
      templates = templates.where(eb =>
        eb.or([isOwnerAsked('template.account_id', caller, { ...params, listall: true }), eb('is_public', '=', true)]),
      )
    if (filter === 'featured') templates = templates.where('is_public', '=', true).where('is_featured', '=', true)
    if (filter === 'community') templates = templates.where('is_public', '=', true).where('is_featured', '=', false)
    if (filter.startsWith('self')) templates = narrowToOwner(templates, 'template.account_id', caller, params)
    if (filter.startsWith('shared')) templates = templates.where(eb => eb.lit(false)) // nothing can be shared with single accounts
    if (filter === 'executable')
      templates = templates.where(eb =>
        eb.or([isOwnerAsked('template.account_id', caller, params), eb('is_public', '=', true)]),
      )
    if (filter.endsWith('executable')) templates = templates.where('download_state', '=', 'DOWNLOADED')
    if (params.id) templates = templates.where('template.id', '=', params.id)
    if (params.ids) templates = templates.where('template.id', 'in', params.ids)
    if (params.name) templates = templates.where('template.name', '=', params.name)
    if (params.zoneid) templates = templates.where('template.zone_id', '=', params.zoneid)
    if (params.hypervisor) templates = templates.where(reads('template.hypervisor', params.hypervisor))
    if (params.isready !== undefined)
      templates = templates.where('download_state', params.isready ? '=' : '!=', 'DOWNLOADED')
    if (storageid)
      templates = templates.where(eb =>
        eb.exists(
          eb
            .selectFrom('template_spool_ref as r')
            .select('r.id')
            .whereRef('r.template_id', '=', 'template.id')
            .where('r.pool_id', '=', storageid),
        ),
      )
    if (page.keyword) templates = templates.where('template.name', 'ilike', containing(page.keyword))
    return pageOf(templates, page)
  },
})
