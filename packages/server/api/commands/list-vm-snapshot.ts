import { hasTags } from '../../store/tags.ts'
import { selectVmSnapshots } from '../../store/vm-snapshot-list.ts'
import { listCommand } from '../command.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { id, ids, invalid, text } from '../parameters.ts'
import { narrowTo, pageOf, reads } from '../query.ts'
import { tagFilter } from '../tags.ts'
import { listedVmSnapshotView } from '../views/vm-snapshot.ts'

export const listVMSnapshot = listCommand({
  name: 'listVMSnapshot',
  description: 'Lists VM snapshots, newest first; parent and current tell the tree',
  permission: 'user',
  params: {
    ...ownershipParameters,
    ...tagFilter,
    vmsnapshotid: id<'vm-snapshot'>('the VM snapshot'),
    vmsnapshotids: ids<'vm-snapshot'>('the VM snapshots'),
    virtualmachineid: id<'vm'>('those of a machine'),
    state: text('those in a state'),
    name: text('exact name'),
  },
  view: listedVmSnapshotView,
  async run({ app, caller, params, page }) {
    if (params.vmsnapshotid && params.vmsnapshotids)
      throw invalid('vmsnapshotids', 'and vmsnapshotid exclude each other')
    const owned = { ...params, id: params.vmsnapshotid, ids: params.vmsnapshotids }
    let snapshots = selectVmSnapshots(app.db)
      .where('vm_snapshot.removed', 'is', null)
      .where(hasTags('vm_snapshot.id', params.tags))
      .orderBy('vm_snapshot.created', 'desc')
      .orderBy('vm_snapshot.id')
    snapshots = narrowToOwner(snapshots, 'vm_snapshot.account_id', caller, owned)
    snapshots = narrowTo(snapshots, {
      'vm_snapshot.id': params.vmsnapshotid,
      'vm_snapshot.vm_id': params.virtualmachineid,
    })
    if (params.vmsnapshotids) snapshots = snapshots.where('vm_snapshot.id', 'in', params.vmsnapshotids)
    if (params.state) snapshots = snapshots.where(reads('vm_snapshot.state', params.state))
    if (params.name) snapshots = snapshots.where('vm_snapshot.display_name', '=', params.name)
    if (page.keyword) {
      const part = containing(page.keyword)
      snapshots = snapshots.where(eb =>
        eb.or(
          (['vm_snapshot.name', 'vm_snapshot.display_name', 'vm_snapshot.description'] as const).map(column =>
            eb(column, 'ilike', part),
          ),
        ),
      )
    }
    const { count, items } = await pageOf(snapshots, page)
    const most = app.settings.number('vmsnapshot.max')
    return { count, items: items.map(item => ({ ...item, most })) }
  },
})
