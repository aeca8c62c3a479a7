// A new template or ISO: what its maker may say of it, and the row that awaits its file.
import { newId, type TemplateId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import type { Tx } from '../store/database.ts'
import { roomiestStore } from '../store/image-stores.ts'
import { holdRoom } from '../store/limits.ts'
import type { Row, TemplateFormat } from '../store/tables.ts'
import { type Caller, isAdmin, unknownId } from './caller.ts'
import { ownerOf, ownerParameters } from './ownership.ts'
import { flag, id, label, text, type Values } from './parameters.ts'

export const newTemplateParameters = {
  ...ownerParameters,
  name: label('its name').must,
  displaytext: text('description; the name when absent'),
  ostypeid: id<'os-type'>('the guest operating system'),
  ispublic: flag('everybody may use it'),
  isfeatured: flag('show it first; administrators only'),
  isextractable: flag('it can be downloaded'),
}

type Given = Values<typeof newTemplateParameters>

/** Where its content comes from, and what it is like. */
type What = Pick<Row<'template'>, 'zone_id' | 'password_enabled' | 'ssh_key_enabled'> &
  Partial<Pick<Row<'template'>, 'bootable' | 'url' | 'checksum' | 'cluster_id' | 'hypervisor'>> & {
    readonly format: TemplateFormat
  }

/** Judges what was said, then writes the row within the transaction that also starts the job which brings the file. */
export async function newTemplate(
  app: App,
  caller: Caller,
  given: Given,
  what: What,
  startJob: (tx: Tx, template: TemplateId) => Promise<Row<'job'>['id']>,
): Promise<{ id: TemplateId; jobid: Row<'job'>['id'] }> {
  const owner = await ownerOf(app, caller, given)
  if (given.ostypeid) await demandOsType(app, given.ostypeid)
  const template = newId<'template'>()
  return app.db.transaction().execute(async tx => {
    await holdRoom(tx, owner.id, { template: 1 })
    await tx
      .insertInto('template')
      .values({
        id: template,
        account_id: owner.id,
        os_type_id: given.ostypeid ?? null,
        name: given.name,
        display_text: given.displaytext || given.name,
        hypervisor: app.hypervisor,
        url: '',
        state: 'Active',
        download_state: 'NOT_DOWNLOADED',
        image_store_id: (await roomiestStore(tx, what.zone_id)).id,
        install_path: `templates/${template}.${what.format.toLowerCase()}`,
        is_public: given.ispublic ?? false,
        is_featured: (given.isfeatured ?? false) && isAdmin(caller),
        is_extractable: given.isextractable ?? false,
        ...what,
      })
      .execute()
    return { id: template, jobid: await startJob(tx, template) }
  })
}

export async function demandOsType(app: App, osType: NonNullable<Row<'template'>['os_type_id']>): Promise<void> {
  const found = await app.db.selectFrom('os_type').select('id').where('id', '=', osType).executeTakeFirst()
  if (!found) throw unknownId('ostypeid', osType)
}
