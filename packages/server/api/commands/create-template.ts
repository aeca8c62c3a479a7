import type { App } from '../../app.ts'
import { makeTemplate, type MakeTemplate } from '../../jobs/make-template.ts'
import { listedTemplate } from '../../store/template-list.ts'
import type { Row } from '../../store/tables.ts'
import { demandSnapshotAction, disksOf, type VmSnapshot } from '../../store/vm-snapshots.ts'
import { vmById } from '../../store/vms.ts'
import { type Caller, originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { newTemplate, newTemplateParameters } from '../new-template.ts'
import { flag, id, invalid } from '../parameters.ts'
import { snapshotOfCall } from '../snapshot-call.ts'
import { templateView } from '../views/template.ts'
import { demandLayersOf, vmSnapshotOfCall } from '../vm-snapshot-call.ts'
import { volumeOfCall } from '../volume-call.ts'

export const createTemplate = jobCommand({
  name: 'createTemplate',
  description:
    'Makes a template of a volume that is detached or whose machine is Stopped, of a snapshot of a volume, or of the root disk as a VM snapshot has it',
  permission: 'user',
  params: {
    ...newTemplateParameters,
    volumeid: id<'volume'>('the volume; this, snapshotid or vmsnapshotid'),
    snapshotid: id<'snapshot'>('the snapshot of a volume; this, volumeid or vmsnapshotid'),
    vmsnapshotid: id<'vm-snapshot'>('the VM snapshot, in any state of its machine; this, volumeid or snapshotid'),
    zoneid: id<'zone'>('accepted; it is in the zone of its source'),
    passwordenabled: flag('deploying it makes a password'),
    sshkeyenabled: flag('it takes SSH keys; true when absent'),
  },
  result: {
    view: templateView,
    read: (app, job) => listedTemplate(app.db, job.instance_id as Row<'template'>['id']),
  },
  async run({ app, caller, params }) {
    const { source, zone } = await sourceOf(app, caller, params)
    const what = {
      zone_id: zone,
      format: 'QCOW2',
      password_enabled: params.passwordenabled ?? false,
      ssh_key_enabled: params.sshkeyenabled ?? true,
    } as const
    return newTemplate(app, caller, params, what, (tx, template) =>
      app.jobs.start(tx, makeTemplate, { template, source }, originOfCall(caller, 'createTemplate')),
    )
  },
})

interface Sources {
  readonly volumeid?: Row<'volume'>['id'] | undefined
  readonly snapshotid?: Row<'snapshot'>['id'] | undefined
  readonly vmsnapshotid?: VmSnapshot['id'] | undefined
}

interface Found {
  readonly source: MakeTemplate['source']
  readonly zone: Row<'zone'>['id']
}

async function sourceOf(app: App, caller: Caller, sources: Sources): Promise<Found> {
  const { volumeid, snapshotid, vmsnapshotid } = sources
  const [first, second] = (['volumeid', 'snapshotid', 'vmsnapshotid'] as const).filter(name => sources[name])
  if (second) throw invalid(second, `and ${first} exclude each other`)
  if (vmsnapshotid) return rootThen(app, await vmSnapshotOfCall(app, caller, vmsnapshotid))
  if (volumeid) {
    const volume = await volumeOfCall(app, caller, volumeid, 'volumeid')
    return { source: { volume: volume.id, vm: volume.vm_id }, zone: volume.zone_id }
  }
  if (!snapshotid) throw invalid('volumeid', 'is missing, or snapshotid or vmsnapshotid is')
  const snapshot = await snapshotOfCall(app, caller, snapshotid, 'snapshotid')
  return { source: { snapshot: snapshot.id }, zone: snapshot.zone_id }
}

async function rootThen(app: App, snapshot: VmSnapshot): Promise<Found> {
  demandSnapshotAction(snapshot, 'use')
  await demandLayersOf(app, snapshot)
  const root = (await disksOf(app.db, snapshot.id)).find(({ device_id }) => device_id === 0)
  const vm = await vmById(app.db, snapshot.vm_id)
  if (!root || !vm) throw invalid('vmsnapshotid', `names ${snapshot.display_name}, which has no root disk`)
  return { source: { vmSnapshot: snapshot.id, vm: vm.id, volume: root.volume_id }, zone: vm.zone_id }
}
