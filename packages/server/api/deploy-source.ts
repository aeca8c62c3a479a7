// What a new machine is made of: a template or an ISO, which says all but the zone; or a VM snapshot, of which zone, storage, template
// or ISO, offering and sizes are inherited. Every refusal names its parameter.
import { decideCloneType, fullCloneSetting, type CloneType, type Hypervisor } from '@ramet/core/clone-type.ts'
import {
  type ClusterId,
  newId,
  type ServiceOfferingId,
  type TemplateId,
  type VmSnapshotId,
  type ZoneId,
} from '@ramet/core/ids.ts'
import { customSizes, type Sizes } from '@ramet/core/offering.ts'
import type { DeployMode } from '@ramet/core/vm-snapshot.ts'
import type { App } from '../app.ts'
import type { CloneNode } from '../jobs/clone-node.ts'
import { demandDirect, otherCpus, type SnapshotSource } from '../jobs/snapshot-source.ts'
import type { Where } from '../jobs/vm-steps.ts'
import type { Tx } from '../store/database.ts'
import { mostDataVolumes } from '../store/hypervisor-capabilities.ts'
import type { NewVolume } from '../store/new-vm.ts'
import type { Row } from '../store/tables.ts'
import { activeTemplate } from '../store/templates.ts'
import { demandDeployable, type LayeredRoot, type SnapshotRoot } from '../store/vm-snapshot-seeds.ts'
import type { Caller } from './caller.ts'
import {
  chosenTemplate,
  chosenZone,
  demandRootFor,
  demandSizes,
  rootFrom,
  rootOfSize,
  serviceOfferingNamed,
} from './deployment.ts'
import { invalid } from './parameters.ts'
import { demandReach } from './place.ts'
import { kindOfImage } from './template-call.ts'
import { vmSnapshotOfCall } from './vm-snapshot-call.ts'

/** The parameters that say it. */
export interface SourceAsked {
  readonly zoneid: ZoneId | undefined
  readonly templateid: TemplateId | undefined
  readonly vmsnapshotid: VmSnapshotId | undefined
  readonly serviceofferingid: ServiceOfferingId | undefined
  readonly hypervisor: string | undefined
  readonly details: ReadonlyMap<string, string>
  readonly clonetype: CloneType | undefined
}

export interface Disks {
  readonly rootGib: number | undefined
  /** The data disk that diskofferingid asks for, if it does. */
  readonly data: readonly NewVolume[]
}

export interface Source {
  readonly zone: Row<'zone'>
  readonly hypervisor: Hypervisor
  /** Whose hypervisor keeps the disks that it is made of; null: the server does. */
  readonly cluster: ClusterId | null
  readonly offering: Row<'service_offering'>
  readonly sizes: Sizes
  /** The template or ISO that the machine is made from, or that the machine of the snapshot was. */
  readonly image: Row<'template'> | null
  /** In the drive from the first start on. */
  readonly iso: TemplateId | null
  /** Null: the root disk is the snapshot's, or begins empty. */
  readonly template: TemplateId | null
  readonly vmSnapshot?: SnapshotSource
  /** It is a clone of this. */
  readonly node?: CloneNode
  /** Root first. */
  readonly volumes: readonly NewVolume[]
}

export function demandOneSource({ templateid, vmsnapshotid }: Pick<SourceAsked, 'templateid' | 'vmsnapshotid'>): void {
  if (templateid && vmsnapshotid) throw invalid('vmsnapshotid', 'and templateid exclude each other; give one of them')
  if (!templateid && !vmsnapshotid) throw invalid('templateid', 'is missing, or vmsnapshotid is')
}

export async function templateSource(app: App, caller: Caller, asked: SourceAsked, disks: Disks): Promise<Source> {
  const { zoneid, serviceofferingid, templateid } = asked
  if (!zoneid) throw invalid('zoneid', 'is missing')
  if (!serviceofferingid) throw invalid('serviceofferingid', 'is missing')
  const [zone, image, offering] = await Promise.all([
    chosenZone(app, zoneid),
    chosenTemplate(app, caller, templateid as TemplateId, asked.hypervisor),
    serviceOfferingNamed(app, serviceofferingid),
  ])
  if (image.zone_id !== zone.id) throw invalid('templateid', `names ${image.name}, which is in another zone`)
  const isIso = kindOfImage(image) === 'iso'
  if (!isIso) await demandPlacesFor(app, disks.data)
  return {
    zone,
    hypervisor: image.hypervisor,
    cluster: image.cluster_id,
    offering,
    sizes: demandSizes(offering, asked.details),
    image,
    iso: isIso ? image.id : null,
    template: isIso ? null : image.id,
    volumes: isIso
      ? [demandRootFor(image, disks.data, { rootGib: disks.rootGib, cloneType: asked.clonetype })]
      : [rootFrom(image, disks.rootGib), ...disks.data],
  }
}

async function demandPlacesFor(app: App, data: readonly NewVolume[]): Promise<void> {
  const most = await mostDataVolumes(app.db, app.hypervisor)
  if (data.length > most)
    throw invalid('diskofferingid', `asks for a data disk; machines may have ${most} (listHypervisorCapabilities)`)
}

export async function vmSnapshotSource(
  app: App,
  caller: Caller,
  asked: SourceAsked,
  disks: Disks,
  about: { readonly owner: Row<'account'>; readonly where: Where },
): Promise<Source> {
  const { id } = await vmSnapshotOfCall(app, caller, asked.vmsnapshotid as VmSnapshotId)
  const root = await app.db.transaction().execute(tx => demandDeployable(tx, id))
  demandZoneOf(root, asked.zoneid)
  if (asked.hypervisor && asked.hypervisor.toLowerCase() !== root.hypervisor.toLowerCase())
    throw invalid(
      'hypervisor',
      `is ${asked.hypervisor}, but VM snapshot ${root.snapshotName} is for ${root.hypervisor}`,
    )
  await demandReach(app, about.where, root)
  await demandPlacesFor(app, disks.data)
  const [zone, offering, image] = await Promise.all([
    chosenZone(app, root.zone),
    offeringFor(app, root, asked.serviceofferingid),
    imageOf(app, root),
  ])
  const mode = app.settings.text('vmsnapshot.deploy.mode', root.pool) as DeployMode
  const cloneType = decideCloneType({
    call: asked.clonetype,
    offering: offering.clone_type,
    createFullClone: app.settings.flag(fullCloneSetting[root.hypervisor], root.pool),
  })
  if (mode === 'direct' && cloneType === 'linked' && isLayered(root)) await demandDirect(app.db, root, about.owner.id)
  return {
    zone,
    hypervisor: root.hypervisor,
    cluster: root.keptBy,
    offering,
    sizes: inheritedSizes(root, offering, asked),
    image,
    iso: null,
    template: null,
    vmSnapshot: { snapshot: root.snapshot, vm: root.vm, pool: root.pool, mode },
    volumes: [rootOfVmSnapshot(root, disks.rootGib), ...disks.data],
  }
}

function isLayered(root: SnapshotRoot): root is LayeredRoot {
  return root.layer !== null
}

/** Clients that always send a zone are served when it is the right one. */
export function demandZoneOf({ zone, snapshotName }: SnapshotRoot, asked: ZoneId | undefined): void {
  if (asked && asked !== zone)
    throw invalid('zoneid', `is another zone than that of VM snapshot ${snapshotName}; leave it out`)
}

/** The one asked for, or that of the machine when the snapshot was taken. */
async function offeringFor(
  app: App,
  root: SnapshotRoot,
  asked: ServiceOfferingId | undefined,
): Promise<Row<'service_offering'>> {
  if (asked) return serviceOfferingNamed(app, asked)
  const offering = await app.db
    .selectFrom('service_offering')
    .selectAll()
    .where('id', '=', root.offering)
    .executeTakeFirstOrThrow()
  if (offering.removed)
    throw invalid(
      'serviceofferingid',
      `is missing, and ${offering.name}, which the machine of VM snapshot ${root.snapshotName} had, has been deleted`,
    )
  return offering
}

async function imageOf({ db }: App, { image }: SnapshotRoot): Promise<Row<'template'> | null> {
  const row = image && (await db.selectFrom('template').selectAll().where('id', '=', image).executeTakeFirst())
  return row || null
}

/** What a custom offering leaves open is as it was, where the call does not say it. CPUs are as many as there were in any case. */
function inheritedSizes(
  root: SnapshotRoot,
  offering: Row<'service_offering'>,
  { serviceofferingid, details }: SourceAsked,
): Sizes {
  const recorded = { cpunumber: root.cpus, cpuspeed: root.cpuMhz, memory: root.memoryMib }
  const fixed = { cpunumber: offering.cpus, cpuspeed: offering.cpu_mhz, memory: offering.memory_mib }
  const open = customSizes.filter(size => fixed[size] === null && !details.has(size))
  const filled = new Map([...details, ...open.map(size => [size, String(recorded[size])] as const)])
  const sizes = demandSizes(offering, filled)
  if (sizes.cpus === root.cpus) return sizes
  const parameter = details.has('cpunumber') || !serviceofferingid ? 'details[0].cpuNumber' : 'serviceofferingid'
  throw invalid(parameter, otherCpus(root.snapshotName, root.cpus, sizes.cpus))
}

function rootOfVmSnapshot({ bytes, snapshotName, diskOffering }: SnapshotRoot, rootGib: number | undefined): NewVolume {
  return {
    id: newId(),
    type: 'ROOT',
    sizeBytes: rootOfSize(bytes, rootGib, `VM snapshot ${snapshotName}`),
    diskOffering,
  }
}

/** What must not go while the deployment is written down. */
export async function holdSource(tx: Tx, { iso, vmSnapshot }: Source): Promise<void> {
  if (iso) await activeTemplate(tx, iso) // it stays while this machine has it in its drive
  if (vmSnapshot) await demandDeployable(tx, vmSnapshot.snapshot)
}
