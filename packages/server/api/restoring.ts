// The new root disk that a call of restoreVirtualMachine asks for, looked up and judged.
import type { DiskOfferingId, TemplateId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import type { RestoreVm } from '../jobs/restore-vm.ts'
import type { Row } from '../store/tables.ts'
import type { Vm } from '../store/vms.ts'
import { volumesOf } from '../store/volumes.ts'
import { type Caller, unknownId } from './caller.ts'
import { chosenTemplate, rootBytes } from './deployment.ts'
import { invalid } from './parameters.ts'
import { kindOfImage } from './template-call.ts'

interface Asked {
  readonly templateid: TemplateId | undefined
  readonly diskofferingid: DiskOfferingId | undefined
  readonly rootGib: number | undefined
}

const gib = 2 ** 30

export async function chosenRoot(
  app: App,
  caller: Caller,
  vm: Vm,
  { templateid, diskofferingid, rootGib }: Asked,
): Promise<Pick<RestoreVm, 'image' | 'template' | 'rootBytes' | 'diskOffering' | 'withPassword'>> {
  const image = templateid ? await chosenTemplate(app, caller, templateid, vm.hypervisor) : await ownImage(app, vm)
  if (image && image.zone_id !== vm.zone_id)
    throw invalid('templateid', `names ${image.name}, which is in another zone`)
  const isIso = image !== null && kindOfImage(image) === 'iso'
  if (isIso && !image.bootable) throw invalid('templateid', `names the ISO ${image.name}, which is not bootable`)
  const template = isIso ? null : image
  const size = (await offeredSize(app, diskofferingid, rootGib)) ?? rootGib
  const old = (await volumesOf(app.db, vm.id)).find(({ type }) => type === 'ROOT')
  return {
    image: image?.id ?? null,
    template: template?.id ?? null,
    rootBytes: bytesOf(template, size, old?.size_bytes ?? 0),
    diskOffering: diskofferingid ?? null,
    withPassword: image?.password_enabled ?? false,
  }
}

/** The template or the ISO that the machine was made from; null for one that was made from neither. */
async function ownImage(app: App, vm: Vm): Promise<Row<'template'> | null> {
  if (!vm.template_id) return null
  const image = await app.db
    .selectFrom('template')
    .selectAll()
    .where('id', '=', vm.template_id)
    .executeTakeFirstOrThrow()
  if (image.state === 'Active' && !image.removed) return image
  throw new Problem(
    'invalid',
    'template-deleted',
    `${image.name}, from which virtual machine ${vm.name} was made, has been deleted; name another in templateid`,
  )
}

async function offeredSize(
  { db }: App,
  diskofferingid: DiskOfferingId | undefined,
  rootGib: number | undefined,
): Promise<number | undefined> {
  if (!diskofferingid) return undefined
  const offering = await db
    .selectFrom('disk_offering')
    .selectAll()
    .where('id', '=', diskofferingid)
    .where('removed', 'is', null)
    .executeTakeFirst()
  if (!offering) throw unknownId('diskofferingid', diskofferingid)
  if (offering.size_bytes === null && rootGib === undefined)
    throw invalid('rootdisksize', `is needed with the disk offering ${offering.name}`)
  if (offering.size_bytes !== null && rootGib !== undefined)
    throw invalid('rootdisksize', `is fixed by the disk offering ${offering.name}; leave it out`)
  return offering.size_bytes === null ? undefined : offering.size_bytes / gib
}

/** Without a word of the call the disk keeps its size, or grows to what the template needs. */
function bytesOf(template: Row<'template'> | null, sizeGib: number | undefined, oldBytes: number): number {
  if (!template) return sizeGib === undefined ? oldBytes : sizeGib * gib
  return sizeGib === undefined ? Math.max(oldBytes, rootBytes(template, undefined)) : rootBytes(template, sizeGib)
}
