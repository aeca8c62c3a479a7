// Registering an image: a template, or an ISO. Both are a row of one table, brought by one job under the same rules.
import { parseId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import { registerTemplate } from '../jobs/register-template.ts'
import { selectZones } from '../store/infrastructure.ts'
import { type ListedTemplate, listedTemplate } from '../store/template-list.ts'
import type { Row, TemplateFormat } from '../store/tables.ts'
import { type Caller, isAdmin, originOfCall } from './caller.ts'
import { chosenZone } from './deployment.ts'
import { newTemplate, newTemplateParameters } from './new-template.ts'
import { id, invalid, list, longText, text, type Values } from './parameters.ts'

export const registrationParameters = {
  ...newTemplateParameters,
  url: longText(
    'http(s) address; file:///path on this machine where allow.register.local.path is on; inventory:PATH of a vCenter',
    2048,
  ).must,
  zoneid: id<'zone'>('its zone'),
  zoneids: list('its zones, one of them so far; -1 means all', text('a zone')),
  checksum: text('{SHA-256}hex, or a bare MD5'),
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
  const source = { url: given.url, checksum: given.checksum || null }
  const made = await newTemplate(
    app,
    caller,
    given,
    { ...what, ...source, zone_id: await zoneOf(app, given) },
    (tx, template) => app.jobs.start(tx, registerTemplate, { template, ...source }, originOfCall(caller, command)),
  )
  return (await listedTemplate(app.db, made.id)) as ListedTemplate
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
