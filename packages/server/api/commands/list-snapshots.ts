import { selectSnapshots } from '../../store/snapshots.ts'
import { hasTags } from '../../store/tags.ts'
import { listCommand } from '../command.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { choice, id, ids, invalid, text } from '../parameters.ts'
import { narrowTo, pageOf } from '../query.ts'
import { tagFilter } from '../tags.ts'
import { snapshotView } from '../views/snapshot.ts'

export const listSnapshots = listCommand({
  name: 'listSnapshots',
  description: 'Lists snapshots of volumes, newest first',
  permission: 'user',
  params: {
    ...ownershipParameters,
    ...tagFilter,
    id: id<'snapshot'>('the snapshot'),
    ids: ids<'snapshot'>('the snapshots'),
    volumeid: id<'volume'>('those of a volume'),
    name: text('exact name'),
    snapshottype: choice('how they came about', ['MANUAL', 'RECURRING']),
    intervaltype: text('how often they are made; there are only MANUAL ones'),
    zoneid: id<'zone'>('those of a zone'),
    imagestoreid: id<'image-store'>('those on a secondary storage'),
  },
  view: snapshotView,
  async run({ app, caller, params, page }) {
    if (params.id && params.ids) throw invalid('ids', 'and id exclude each other')
    let snapshots = selectSnapshots(app.db)
      .where('snapshot.removed', 'is', null)
      .where(hasTags('snapshot.id', params.tags))
      .orderBy('snapshot.created', 'desc')
      .orderBy('snapshot.id')
    snapshots = narrowToOwner(snapshots, 'snapshot.account_id', caller, params)
    snapshots = narrowTo(snapshots, {
      'snapshot.id': params.id,
      'snapshot.volume_id': params.volumeid,
      'snapshot.name': params.name,
      'snapshot.zone_id': params.zoneid,
      'snapshot.image_store_id': params.imagestoreid,
    })
    if (params.ids) snapshots = snapshots.where('snapshot.id', 'in', params.ids)
    const isOther =
      params.snapshottype === 'RECURRING' || !['MANUAL', ''].includes(params.intervaltype?.toUpperCase() ?? '')
    if (isOther) snapshots = snapshots.where(eb => eb.val(false))
    if (page.keyword) snapshots = snapshots.where('snapshot.name', 'ilike', containing(page.keyword))
    return pageOf(snapshots, page)
  },
})
