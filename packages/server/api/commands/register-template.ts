import { newId } from '@ramet/core/ids.ts'
import { labelRefusal } from '@ramet/core/names.ts'
import { Problem } from '@ramet/core/problem.ts'
import { registerTemplate as registerTemplateJob } from '../../jobs/register-template.ts'
import { holdRoom } from '../../store/limits.ts'
import { type ListedTemplate, listedTemplate } from '../../store/template-list.ts'
import { selectZones } from '../../store/infrastructure.ts'
import type { App } from '../../app.ts'
import { type Caller, isAdmin, originOfCall, unknownId } from '../caller.ts'
import { objectCommand } from '../command.ts'
import { demandHypervisor, hypervisorNames } from '../hypervisors.ts'
import { chosenZone } from '../deployment.ts'
import { ownerOf, ownerParameters } from '../ownership.ts'
import { choice, flag, id, invalid, list, longText, text } from '../parameters.ts'
import { templateView } from '../views/template.ts'

const formats = ['QCOW2', 'RAW', 'VMDK', 'VHDX'] as const

export const registerTemplate = objectCommand({
  name: 'registerTemplate',
  description:
    'Registers a bootable disk image as a template; it is fetched and examined in the background, see status and jobid',
  permission: 'user',
  params: {
    ...ownerParameters,
    name: text('name').must,
    displaytext: text('description; the name when absent'),
    format: choice('what the file is', formats).must,
    hypervisor: choice('what it is for', [...hypervisorNames, 'Any']).must,
    url: longText('http(s) address, or file:///path on this machine where allow.register.local.path is on', 2048).must,
    zoneid: id<'zone'>('its zone'),
    zoneids: list('its zones, one of them so far; -1 means all', text('a zone')),
    ostypeid: id<'os-type'>('the guest operating system'),
    checksum: text('{SHA-256}hex, or a bare MD5'),
    ispublic: flag('everybody may use it'),
    isfeatured: flag('show it first; administrators only'),
    isextractable: flag('it can be downloaded'),
    passwordenabled: flag('deploying it makes a password'),
    sshkeyenabled: flag('it takes SSH keys; true when absent'),
  },
  view: templateView,
  asList: true,
  async run({ app, caller, params }): Promise<ListedTemplate> {
    const refusal = labelRefusal(params.name)
    if (refusal) throw invalid('name', refusal)
    demandHypervisor(app, params.hypervisor)
    demandUrl(app, caller, params.url)
    const owner = await ownerOf(app, caller, params)
    const zone = await zoneOf(app, params.zoneid, params.zoneids)
    if (params.ostypeid) await demandOsType(app, params.ostypeid)
    const store = await app.db
      .selectFrom('image_store')
      .selectAll()
      .where('zone_id', '=', zone)
      .executeTakeFirstOrThrow()
    const template = newId<'template'>()
    await app.db.transaction().execute(async tx => {
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
          format: params.format,
          hypervisor: app.hypervisor,
          url: params.url,
          checksum: params.checksum || null,
          state: 'Active',
          download_state: 'NOT_DOWNLOADED',
          image_store_id: store.id,
          install_path: `templates/${template}.${params.format.toLowerCase()}`,
          is_public: params.ispublic ?? false,
          is_featured: (params.isfeatured ?? false) && isAdmin(caller),
          is_extractable: params.isextractable ?? false,
          password_enabled: params.passwordenabled ?? false,
          ssh_key_enabled: params.sshkeyenabled ?? true,
        })
        .execute()
      const input = { template, url: params.url, checksum: params.checksum || null }
      await app.jobs.start(tx, registerTemplateJob, input, originOfCall(caller, 'registerTemplate'))
    })
    return (await listedTemplate(app.db, template)) as ListedTemplate
  },
})

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

async function zoneOf(
  app: App,
  zoneid: Parameters<typeof chosenZone>[1] | undefined,
  zoneids: readonly string[] | undefined,
) {
  if (zoneid && zoneids) throw invalid('zoneids', 'and zoneid exclude each other')
  if (!zoneid && !zoneids) throw invalid('zoneid', 'is missing')
  const [first] = zoneids ?? []
  if (!zoneid && first === '-1') return (await selectZones(app.db).orderBy('created').executeTakeFirstOrThrow()).id
  return (await chosenZone(app, (zoneid ?? first) as Parameters<typeof chosenZone>[1])).id
}

async function demandOsType(app: App, osType: NonNullable<ListedTemplate['os_type_id']>): Promise<void> {
  const found = await app.db.selectFrom('os_type').select('id').where('id', '=', osType).executeTakeFirst()
  if (!found) throw unknownId('ostypeid', osType)
}
