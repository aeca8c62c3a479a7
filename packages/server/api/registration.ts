// Registering an image: a template, or an ISO. Both are a row of one table, brought by one job under the same rules.
import { newId, parseId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import { registerTemplate } from '../jobs/register-template.ts'
import { roomiestStore } from '../store/image-stores.ts'
import { selectZones } from '../store/infrastructure.ts'
import { holdRoom } from '../store/limits.ts'
import { type ListedTemplate, listedTemplate } from '../store/template-list.ts'
import type { Row, TemplateFormat } from '../store/tables.ts'
import { type Caller, isAdmin, originOfCall, unknownId } from './caller.ts'
import { chosenZone } from './deployment.ts'
import { ownerOf, ownerParameters } from './ownership.ts'
import { flag, id, invalid, label, list, longText, text, type Values } from './parameters.ts'

export const registrationParameters = {
  ...ownerParameters,
  name: label('name').must,
  displaytext: text('description; the name when absent'),
  url: longText('http(s) address, or file:///path on this machine where allow.register.local.path is on', 2048).must,
  zoneid: id<'zone'>('its zone'),
  zoneids: list('its zones, one of them so far; -1 means all', text('a zone')),
  ostypeid: id<'os-type'>('the guest operating system'),
  checksum: text('{SHA-256}hex, or a bare MD5'),
  ispublic: flag('everybody may use it'),
  isfeatured: flag('show it first; administrators only'),
  isextractable: flag('it can be downloaded'),
}

type Given = Values<typeof registrationParameters>

type What = Pick<Row<'template'>, 'password_enabled' | 'ssh_key_enabled' | 'bootable'> & {
  readonly format: TemplateFormat
}

export async function registerImage(
  app: App,
  caller: Caller,
  command: string,
  given: Given,
  what: What,
): Promise<ListedTemplate> {
  demandUrl(app, caller, given.url)
  const owner = await ownerOf(app, caller, given)
  const zone = await zoneOf(app, given)
  if (given.ostypeid) await demandOsType(app, given.ostypeid)
  const template = newId<'template'>()
  await app.db.transaction().execute(async tx => {
    await holdRoom(tx, owner.id, { template: 1 })
    await tx
      .insertInto('template')
      .values({
        id: template,
        account_id: owner.id,
        zone_id: zone,
        os_type_id: given.ostypeid ?? null,
        name: given.name,
        display_text: given.displaytext || given.name,
        hypervisor: app.hypervisor,
        url: given.url,
        checksum: given.checksum || null,
        state: 'Active',
        download_state: 'NOT_DOWNLOADED',
        image_store_id: (await roomiestStore(tx, zone)).id,
        install_path: `templates/${template}.${what.format.toLowerCase()}`,
        is_public: given.ispublic ?? false,
        is_featured: (given.isfeatured ?? false) && isAdmin(caller),
        is_extractable: given.isextractable ?? false,
        ...what,
      })
      .execute()
    const input = { template, url: given.url, checksum: given.checksum || null }
    await app.jobs.start(tx, registerTemplate, input, originOfCall(caller, command))
  })
  return (await listedTemplate(app.db, template)) as ListedTemplate
}

function demandUrl(app: App, caller: Caller, url: string): void {
  const protocol = URL.canParse(url) ? new URL(url).protocol : null
  if (protocol === 'http:' || protocol === 'https:') return
  if (protocol !== 'file:') throw invalid('url', 'must be an http or https address, or file:///path')
  if (!isAdmin(caller))
    throw new Problem('forbidden', 'local-path', 'Only administrators register files of this machine')
  if (!app.settings.flag('allow.register.local.path'))
    throw new Problem(
      'refused',
      'local-path',
      'Registering files of this machine is off; updateConfiguration name=allow.register.local.path value=true allows it',
    )
}

async function zoneOf(app: App, { zoneid, zoneids }: Given): Promise<Row<'zone'>['id']> {
  if (zoneid && zoneids) throw invalid('zoneids', 'and zoneid exclude each other')
  const first = zoneid ?? zoneids?.[0]
  if (!first) throw invalid('zoneid', 'is missing')
  if (first === '-1') return (await selectZones(app.db).orderBy('created').executeTakeFirstOrThrow()).id
  const zone = parseId<'zone'>(first)
  if (!zone) throw invalid('zoneids', `must be UUIDs or -1; "${first}" is neither`)
  return (await chosenZone(app, zone)).id
}

export async function demandOsType(app: App, osType: NonNullable<ListedTemplate['os_type_id']>): Promise<void> {
  const found = await app.db.selectFrom('os_type').select('id').where('id', '=', osType).executeTakeFirst()
  if (!found) throw unknownId('ostypeid', osType)
}
