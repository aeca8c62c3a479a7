import type { App } from '../../app.ts'
import { makeTemplate, type MakeTemplate } from '../../jobs/make-template.ts'
import { listedTemplate } from '../../store/template-list.ts'
import type { Row } from '../../store/tables.ts'
import { type Caller, originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { newTemplate, newTemplateParameters } from '../new-template.ts'
import { flag, id, invalid } from '../parameters.ts'
import { snapshotOfCall } from '../snapshot-call.ts'
import { templateView } from '../views/template.ts'
import { volumeOfCall } from '../volume-call.ts'

export const createTemplate = jobCommand({
  name: 'createTemplate',
  description:
    'Makes a template of a volume that is detached or whose machine is Stopped, or of a snapshot of a volume',
  permission: 'user',
  params: {
    ...newTemplateParameters,
    volumeid: id<'volume'>('the volume; this or snapshotid'),
    snapshotid: id<'snapshot'>('the snapshot of a volume; this or volumeid'),
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
}

async function sourceOf(
  app: App,
  caller: Caller,
  { volumeid, snapshotid }: Sources,
): Promise<{ source: MakeTemplate['source']; zone: Row<'zone'>['id'] }> {
  if (volumeid && snapshotid) throw invalid('snapshotid', 'and volumeid exclude each other')
  if (volumeid) {
    const volume = await volumeOfCall(app, caller, volumeid, 'volumeid')
    return { source: { volume: volume.id, vm: volume.vm_id }, zone: volume.zone_id }
  }
  if (!snapshotid) throw invalid('volumeid', 'is missing, or snapshotid is')
  const snapshot = await snapshotOfCall(app, caller, snapshotid, 'snapshotid')
  return { source: { snapshot: snapshot.id }, zone: snapshot.zone_id }
}
