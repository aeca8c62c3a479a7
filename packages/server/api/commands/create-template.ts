import { newId } from '@ramet/core/ids.ts'
import type { App } from '../../app.ts'
import { makeTemplate, type MakeTemplate } from '../../jobs/make-template.ts'
import { roomiestStore } from '../../store/image-stores.ts'
import { holdRoom } from '../../store/limits.ts'
import { listedTemplate } from '../../store/template-list.ts'
import type { Row } from '../../store/tables.ts'
import { type Caller, isAdmin, originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { ownerOf, ownerParameters } from '../ownership.ts'
import { flag, id, invalid, label, text } from '../parameters.ts'
import { demandOsType } from '../registration.ts'
import { snapshotOfCall } from '../snapshot-call.ts'
import { templateView } from '../views/template.ts'
import { volumeOfCall } from '../volume-call.ts'

export const createTemplate = jobCommand({
  name: 'createTemplate',
  description:
    'Makes a template of a volume that is detached or whose machine is Stopped, or of a snapshot of a volume',
  permission: 'user',
  params: {
    ...ownerParameters,
    name: label('its name').must,
    displaytext: text('description; the name when absent'),
    ostypeid: id<'os-type'>('the guest operating system'),
    volumeid: id<'volume'>('the volume; this or snapshotid'),
    snapshotid: id<'snapshot'>('the snapshot of a volume; this or volumeid'),
    zoneid: id<'zone'>('accepted; it is in the zone of its source'),
    ispublic: flag('everybody may use it'),
    isfeatured: flag('show it first; administrators only'),
    isextractable: flag('it can be downloaded'),
    passwordenabled: flag('deploying it makes a password'),
    sshkeyenabled: flag('it takes SSH keys; true when absent'),
  },
  result: {
    view: templateView,
    read: (app, job) => listedTemplate(app.db, job.instance_id as Row<'template'>['id']),
  },
  async run({ app, caller, params }) {
    const { source, zone } = await sourceOf(app, caller, params)
    const owner = await ownerOf(app, caller, params)
    if (params.ostypeid) await demandOsType(app, params.ostypeid)
    const template = newId<'template'>()
    return app.db.transaction().execute(async tx => {
      await holdRoom(tx, owner.id, { template: 1 })
      await tx
        .insertInto('template')
        .values({
          id: template,
          account_id: owner.id,
          zone_id: zone,
          os_type_id: params.ostypeid ?? null,
          name: params.name,
          display_text: params.displaytext || params.name,
          hypervisor: app.hypervisor,
          format: 'QCOW2',
          url: '',
          state: 'Active',
          download_state: 'NOT_DOWNLOADED',
          image_store_id: (await roomiestStore(tx, zone)).id,
          install_path: `templates/${template}.qcow2`,
          is_public: params.ispublic ?? false,
          is_featured: (params.isfeatured ?? false) && isAdmin(caller),
          is_extractable: params.isextractable ?? false,
          password_enabled: params.passwordenabled ?? false,
          ssh_key_enabled: params.sshkeyenabled ?? true,
        })
        .execute()
      const origin = originOfCall(caller, 'createTemplate')
      return { id: template, jobid: await app.jobs.start(tx, makeTemplate, { template, source }, origin) }
    })
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
