// Lists of templates and of ISOs: what is shown by which filter, and to whom.
import { Problem } from '@ramet/core/problem.ts'
import { sql, type SqlBool } from 'kysely'
import type { App } from '../app.ts'
import { hasTags } from '../store/tags.ts'
import { type ListedTemplate, selectTemplates } from '../store/template-list.ts'
import type { Caller } from './caller.ts'
import { isOwnerAsked, narrowToOwner, ownershipParameters } from './ownership.ts'
import { containing, type Page } from './paging.ts'
import { flag, id, ids, text, type Values } from './parameters.ts'
import { narrowTo, pageOf, reads } from './query.ts'
import { tagFilter } from './tags.ts'
import type { ImageKind } from './template-call.ts'

export const imageFilters = [
  'featured',
  'self',
  'selfexecutable',
  'sharedexecutable',
  'executable',
  'community',
  'all',
  'shared',
] as const

export type ImageFilter = (typeof imageFilters)[number]

export const imageListParameters = {
  ...ownershipParameters,
  id: id<'template'>('the one with this id'),
  ids: ids<'template'>('those with these ids'),
  name: text('exact name'),
  zoneid: id<'zone'>('those of a zone'),
  hypervisor: text('those for a hypervisor'),
  imagestoreid: id<'image-store'>('those on a secondary storage'),
  isready: flag('only those that can be used, or only the others'),
  showremoved: flag('deleted ones too'),
  ...tagFilter,
}

type Given = Values<typeof imageListParameters>

/** The page, not yet narrowed by what only templates or only ISOs are asked. */
export function selectImages(
  app: App,
  caller: Caller,
  kind: ImageKind,
  filter: ImageFilter,
  params: Given,
  page: Page,
) {
  if (filter === 'all' && caller.account.type === 'User')
    throw new Problem(
      'invalid',
      'filter-all',
      `Parameter ${kind}filter: only administrators of domains may ask for "all"`,
    )
  let images = selectTemplates(app.db)
    .where('template.format', kind === 'iso' ? '=' : '!=', 'ISO')
    .where(shownBy(filter, caller, params))
    .where(hasTags('template.id', params.tags))
    .orderBy('template.created', 'desc')
    .orderBy('template.id')
  if (!params.showremoved) images = images.where('template.state', '=', 'Active')
  if (filter.startsWith('self')) images = narrowToOwner(images, 'template.account_id', caller, params)
  if (filter.endsWith('executable')) images = images.where('download_state', '=', 'DOWNLOADED')
  images = narrowTo(images, {
    'template.id': params.id,
    'template.name': params.name,
    'template.zone_id': params.zoneid,
  })
  if (params.ids) images = images.where('template.id', 'in', params.ids)
  if (params.hypervisor) images = images.where(reads('template.hypervisor', params.hypervisor))
  if (params.imagestoreid) images = images.where('template.image_store_id', '=', params.imagestoreid)
  if (params.isready !== undefined) images = images.where('download_state', params.isready ? '=' : '!=', 'DOWNLOADED')
  if (page.keyword) images = images.where('template.name', 'ilike', containing(page.keyword))
  return images
}

function shownBy(filter: ImageFilter, caller: Caller, params: Given) {
  const isPublic = sql<SqlBool>`template.is_public`
  const isShared = sql<SqlBool>`exists (
    select 1 from launch_permission p where p.template_id = template.id and p.account_id = ${caller.account.id})`
  if (filter === 'all')
    return sql<SqlBool>`(${isOwnerAsked('template.account_id', caller, { ...params, listall: true })} or ${isPublic} or ${isShared})`
  if (filter === 'featured') return sql<SqlBool>`(${isPublic} and template.is_featured)`
  if (filter === 'community') return sql<SqlBool>`(${isPublic} and not template.is_featured)`
  if (filter.startsWith('shared')) return isShared
  if (filter === 'executable')
    return sql<SqlBool>`(${isOwnerAsked('template.account_id', caller, params)} or ${isPublic} or ${isShared})`
  return sql<SqlBool>`true`
}

type Images = ReturnType<typeof selectImages>

export async function imagePage(images: Images, page: Page): Promise<{ count: number; items: ListedTemplate[] }> {
  return pageOf(images, page)
}
