// What a deployment asks for, looked up and judged before anything is written: every refusal names its parameter.
import { type DiskOfferingId, newId, type ServiceOfferingId, type TemplateId, type ZoneId } from '@ramet/core/ids.ts'
import { hostNameRefusal } from '@ramet/core/names.ts'
import { type Sizes, sizesOf } from '@ramet/core/offering.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import { zoneById } from '../store/infrastructure.ts'
import { holdName, nameTaken, type NewVolume } from '../store/new-vm.ts'
import type { Tx } from '../store/database.ts'
import type { Row } from '../store/tables.ts'
import { type Caller, demandOwned, unknownId } from './caller.ts'
import { invalid } from './parameters.ts'

const gib = 2 ** 30

export async function chosenZone(app: App, id: ZoneId): Promise<Row<'zone'>> {
  const zone = await zoneById(app.db, id)
  if (!zone) throw unknownId('zoneid', id)
  if (zone.allocation_state !== 'Enabled')
    throw new Problem('forbidden', 'zone-disabled', `Zone ${zone.name} is disabled`)
  return zone
}

/** A template or an ISO that the caller may use and that is ready. */
export async function chosenTemplate(
  app: App,
  caller: Caller,
  id: TemplateId,
  hypervisor?: string,
): Promise<Row<'template'>> {
  const template = await chosenImage(app, caller, id, 'templateid')
  if (hypervisor && hypervisor.toLowerCase() !== template.hypervisor.toLowerCase())
    throw invalid('hypervisor', `is ${hypervisor}, but the template ${template.name} is for ${template.hypervisor}`)
  return template
}

export async function chosenImage(
  app: App,
  caller: Caller,
  id: TemplateId,
  parameter: string,
): Promise<Row<'template'>> {
  const template = await app.db
    .selectFrom('template')
    .selectAll()
    .where('id', '=', id)
    .where('removed', 'is', null)
    .executeTakeFirst()
  if (!template) throw unknownId(parameter, id)
  if (!template.is_public && !(await maySee(app, caller, template)))
    await demandOwned(app, caller, template, parameter, id)
  if (template.state !== 'Active') throw invalid(parameter, `names ${template.name}, which is being deleted`)
  if (template.download_state !== 'DOWNLOADED')
    throw invalid(parameter, `names ${template.name}, which is not ready: ${template.error ?? template.download_state}`)
  return template
}

/** Whether the owner has let the caller's account use it. */
async function maySee(app: App, { account }: Caller, { id }: Row<'template'>): Promise<boolean> {
  const granted = await app.db
    .selectFrom('launch_permission')
    .select('account_id')
    .where('template_id', '=', id)
    .where('account_id', '=', account.id)
    .executeTakeFirst()
  return granted !== undefined
}

export async function serviceOfferingNamed(app: App, id: ServiceOfferingId): Promise<Row<'service_offering'>> {
  const offering = await app.db
    .selectFrom('service_offering')
    .selectAll()
    .where('id', '=', id)
    .where('removed', 'is', null)
    .executeTakeFirst()
  if (!offering) throw unknownId('serviceofferingid', id)
  return offering
}

/** What a machine of `offering` gets; the parameter details fills what a custom offering leaves open. */
export function demandSizes(offering: Row<'service_offering'>, details: ReadonlyMap<string, string>): Sizes {
  const sizes = sizesOf(offering, details)
  if ('refusal' in sizes) throw invalid(sizes.parameter, sizes.refusal)
  return sizes
}

export async function chosenKeys(
  app: App,
  owner: Row<'account'>,
  names: readonly string[],
): Promise<{ name: string; public_key: string }[]> {
  const wanted = [...new Set(names)]
  const found = await app.db
    .selectFrom('ssh_key_pair')
    .select(['name', 'public_key'])
    .where('account_id', '=', owner.id)
    .where('name', 'in', wanted.length > 0 ? wanted : [''])
    .execute()
  const missing = wanted.find(name => !found.some(key => key.name === name))
  if (missing !== undefined)
    throw invalid(
      'keypairs',
      `names "${missing}", which account ${owner.name} does not have; registerSSHKeyPair adds one`,
    )
  return found
}

/** The data disk that `diskofferingid` asks for; none without it. */
export async function chosenDataVolume(
  app: App,
  id: DiskOfferingId | undefined,
  sizeGib: number | undefined,
): Promise<NewVolume[]> {
  if (!id) {
    if (sizeGib !== undefined) throw invalid('size', 'is the size of a data disk; give diskofferingid too')
    return []
  }
  const offering = await app.db
    .selectFrom('disk_offering')
    .selectAll()
    .where('id', '=', id)
    .where('removed', 'is', null)
    .executeTakeFirst()
  if (!offering) throw unknownId('diskofferingid', id)
  if (offering.size_bytes !== null && sizeGib !== undefined)
    throw invalid('size', `is fixed by the disk offering ${offering.name}; leave it out`)
  if (offering.size_bytes === null && sizeGib === undefined)
    throw invalid('size', `is needed with the disk offering ${offering.name}`)
  return [
    { id: newId(), type: 'DATADISK', sizeBytes: offering.size_bytes ?? (sizeGib as number) * gib, diskOffering: id },
  ]
}

/** The root disk of a machine from a template. */
export function rootFrom(template: Row<'template'>, rootGib: number | undefined): NewVolume {
  return { id: newId(), type: 'ROOT', sizeBytes: rootBytes(template, rootGib), diskOffering: null }
}

interface Asked {
  readonly rootGib: number | undefined
  readonly cloneType: string | undefined
}

/** The empty root disk of a machine that boots from an ISO: what diskofferingid says. */
export function demandRootFor(iso: Row<'template'>, [disk]: readonly NewVolume[], asked: Asked): NewVolume {
  if (!iso.bootable) throw invalid('templateid', `names the ISO ${iso.name}, which is not bootable`)
  if (!disk)
    throw invalid('diskofferingid', `is needed: it says how large the disk is that ${iso.name} is installed on`)
  if (asked.rootGib !== undefined)
    throw invalid('rootdisksize', 'is for templates; with an ISO, diskofferingid and size say it')
  if (asked.cloneType === 'linked')
    throw invalid('clonetype', 'linked is not possible with an ISO: its machine has a disk of its own')
  return { ...disk, type: 'ROOT' }
}

export function rootBytes(template: Row<'template'>, rootGib: number | undefined): number {
  return rootOfSize(template.virtual_bytes ?? 0, rootGib, `the template ${template.name}`)
}

/** What `source` needs, or more. */
export function rootOfSize(bytes: number, rootGib: number | undefined, source: string): number {
  if (rootGib === undefined) return bytes
  if (rootGib * gib < bytes)
    throw invalid('rootdisksize', `is ${rootGib} GiB; ${source} needs ${Math.ceil(bytes / gib)} GiB at least`)
  return rootGib * gib
}

export async function demandFreeName(tx: Tx, owner: Row<'account'>, name: string | undefined): Promise<void> {
  if (!name) return
  const refusal = hostNameRefusal(name)
  if (refusal) throw invalid('name', refusal)
  await holdName(tx, owner.id, name)
  if (await nameTaken(tx, owner.id, name))
    throw invalid('name', `is taken: account ${owner.name} has a machine ${name} already`)
}
