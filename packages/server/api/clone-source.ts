// What is cloned: a machine as it is now, or as a VM snapshot has it, with all its disks. Every refusal names its parameter. Of which instant
// of the machine is for clone-fork.ts.
import { type CloneType, decideCloneType, fullCloneSetting } from '@ramet/core/clone-type.ts'
import { newId, type ServiceOfferingId, type StoragePoolId, type VmId, type VmSnapshotId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import type { CloneNode } from '../jobs/clone-node.ts'
import { memoryOfStopped } from '../jobs/fork-vm.ts'
import type { JobOrigin } from '../jobs/tools.ts'
import type { Tx } from '../store/database.ts'
import type { NewVolume } from '../store/new-vm.ts'
import type { Row } from '../store/tables.ts'
import { demandDeployable } from '../store/vm-snapshot-seeds.ts'
import { disksOf } from '../store/vm-snapshots.ts'
import { demandAction, type Vm, vmById } from '../store/vms.ts'
import { volumesOf } from '../store/volumes.ts'
import type { Caller } from './caller.ts'
import { forkForClones } from './clone-fork.ts'
import { otherAccount, type OwnerAsked, ownerOfClones } from './clone-owner.ts'
import { type DataThen, dataVolumesAsked } from './data-volumes.ts'
import { type Source, vmSnapshotSource } from './deploy-source.ts'
import { chosenZone, demandSizes, serviceOfferingNamed } from './deployment.ts'
import { invalid } from './parameters.ts'
import { vmOfCall } from './vm-call.ts'
import { vmSnapshotOfCall } from './vm-snapshot-call.ts'

export type WayToClone = CloneType | 'instant'

export interface CloneAsked extends OwnerAsked {
  readonly virtualmachineid: VmId | undefined
  readonly vmsnapshotid: VmSnapshotId | undefined
  readonly clonetype: WayToClone | undefined
  readonly serviceofferingid: ServiceOfferingId | undefined
}

export interface CloneSource {
  /** The machine that is cloned; of a VM snapshot its machine. */
  readonly vm: Vm
  /** Whose the clones are going to be. */
  readonly owner: Row<'account'>
  readonly source: Omit<Source, 'volumes'>
  readonly disks: readonly SourceDisk[]
  readonly dataThen: readonly DataThen[]
  readonly isInstant: boolean
  /** Null: the storage pool or the global setting decides. */
  readonly cloneType: CloneType | null
  /** Of which VM snapshot; null: of the machine as it is now, or stands still. */
  readonly vmSnapshot: VmSnapshotId | null
}

type SourceDisk = Omit<NewVolume, 'id'>

export async function cloneSource(app: App, caller: Caller, asked: CloneAsked): Promise<CloneSource> {
  const { virtualmachineid, vmsnapshotid } = asked
  if (virtualmachineid && vmsnapshotid)
    throw invalid('vmsnapshotid', 'and virtualmachineid exclude each other; give one of them')
  if (virtualmachineid) return ofMachine(app, caller, virtualmachineid, asked)
  if (vmsnapshotid) return ofVmSnapshot(app, caller, vmsnapshotid, asked)
  throw invalid('virtualmachineid', 'is missing, or vmsnapshotid is')
}

async function ofMachine(app: App, caller: Caller, id: VmId, asked: CloneAsked): Promise<CloneSource> {
  const vm = await vmOfCall(app, caller, id, 'virtualmachineid')
  demandAction(vm, 'clone')
  demandWay(app, vm, asked)
  const isInstant = asked.clonetype === 'instant'
  if (isInstant && vm.state !== 'Running' && !vm.is_frozen) throw memoryOfStopped(vm)
  const owner = await ownerOfClones(app, caller, vm, asked)
  const volumes = await volumesOf(app.db, vm.id)
  const [root] = volumes
  if (root?.type !== 'ROOT' || !root.pool_id)
    throw new Problem('refused', 'vm-without-disk', `Virtual machine ${vm.name} has no root disk that can be cloned`)
  const source = await sourceOf(app, vm, asked)
  const [pool, voice] = [root.pool_id, isInstant ? 'linked' : asked.clonetype]
  const cloneType = decidedType(app, vm, pool, voice, source.offering)
  if (owner.id !== vm.account_id && cloneType !== 'full') throw otherAccount(vm, owner, isInstant)
  return { vm, owner, source, disks: volumes.map(asDisk), dataThen: [], isInstant, cloneType, vmSnapshot: null }
}

function asDisk({ id, type, size_bytes, disk_offering_id, device_id }: Row<'volume'>): SourceDisk {
  return { type, sizeBytes: size_bytes, diskOffering: disk_offering_id, of: id, deviceId: device_id ?? 0 }
}

/** All disks of a clone are of one type. */
function decidedType(
  app: App,
  { hypervisor }: Vm,
  pool: StoragePoolId,
  call: CloneType | undefined,
  offering: Row<'service_offering'>,
): CloneType {
  const createFullClone = app.settings.flag(fullCloneSetting[hypervisor], pool)
  return decideCloneType({ call, offering: offering.clone_type, createFullClone })
}

/** What a machine made of `vm` is, but for its disks: it inherits all that the call does not say. */
async function sourceOf(app: App, vm: Vm, asked: CloneAsked): Promise<Omit<Source, 'volumes'>> {
  const [zone, offering, image] = await Promise.all([
    chosenZone(app, vm.zone_id),
    serviceOfferingNamed(app, asked.serviceofferingid ?? vm.service_offering_id),
    vm.template_id && app.db.selectFrom('template').selectAll().where('id', '=', vm.template_id).executeTakeFirst(),
  ])
  const had = { cpunumber: vm.cpus, cpuspeed: vm.cpu_mhz, memory: vm.memory_mib }
  const open = [
    ...(offering.cpus === null ? (['cpunumber'] as const) : []),
    ...(offering.cpu_mhz === null ? (['cpuspeed'] as const) : []),
    ...(offering.memory_mib === null ? (['memory'] as const) : []),
  ]
  const sizes = demandSizes(offering, new Map(open.map(size => [size, String(had[size])] as const)))
  if (asked.clonetype === 'instant') demandSameSizes(vm, sizes)
  return {
    zone,
    hypervisor: vm.hypervisor,
    offering,
    sizes,
    image: image || null,
    iso: vm.iso_id,
    template: null,
    cluster: vm.cluster_id,
  }
}

function demandWay(app: App, { cluster_id, hypervisor }: Vm, { clonetype }: CloneAsked): void {
  if (clonetype === 'instant' && !app.capabilitiesOf(cluster_id).instantClone)
    throw invalid('clonetype', `instant is not possible on ${hypervisor}; ask for linked or full`)
}

function instantOfSnapshot(vm: string, snapshot: string): Problem {
  return new Problem(
    'unsupported',
    'instant-of-vm-snapshot',
    `The hypervisor of ${vm} makes instant clones of machines that run, not of VM snapshots: give virtualmachineid, or revert to ${snapshot} first. Linked and full clones of it can be made`,
  )
}

/** A guest that goes on cannot find other processors, or other memory, than it had. */
function demandSameSizes(
  { name, cpus, memory_mib }: Pick<Vm, 'name' | 'cpus' | 'memory_mib'>,
  asked: { cpus: number; memoryMib: number },
): void {
  if (asked.cpus === cpus && asked.memoryMib === memory_mib) return
  throw invalid(
    'serviceofferingid',
    `asks for ${asked.cpus} CPUs and ${asked.memoryMib} MiB; an instant clone goes on as ${name} was, with ${cpus} and ${memory_mib} MiB. Leave it out, or ask for clonetype=linked or full`,
  )
}

async function ofVmSnapshot(app: App, caller: Caller, id: VmSnapshotId, asked: CloneAsked): Promise<CloneSource> {
  const snapshot = await vmSnapshotOfCall(app, caller, id)
  const vm = await vmById(app.db, snapshot.vm_id)
  if (!vm) throw new Error(`there is no machine of VM snapshot ${id}`)
  demandWay(app, vm, asked)
  const isInstant = asked.clonetype === 'instant'
  const isKept = app.capabilitiesOf(vm.cluster_id).disks === 'machines'
  if (isInstant && isKept) throw instantOfSnapshot(vm.name, snapshot.display_name)
  if (isInstant && snapshot.type !== 'DiskAndMemory')
    throw new Problem(
      'refused',
      'no-memory',
      `VM snapshot ${snapshot.display_name} has no memory for an instant clone to go on from. Take one with snapshotmemory=true, or ask for clonetype=linked or full`,
    )
  const owner = await ownerOfClones(app, caller, vm, asked)
  if (isInstant && owner.id !== snapshot.account_id) throw otherAccount(vm, owner, isInstant)
  const then = { ...vm, cpus: snapshot.cpus, cpu_mhz: snapshot.cpu_mhz, memory_mib: snapshot.memory_mib }
  if (isInstant) {
    const root = await app.db.transaction().execute(tx => demandDeployable(tx, id))
    const source = await sourceOf(app, { ...then, service_offering_id: root.offering }, asked)
    const disks = await disksOfSnapshot(app, id)
    return { vm, owner, source, disks, dataThen: [], isInstant, cloneType: 'linked', vmSnapshot: id }
  }
  const cloneType = asked.clonetype
  const deployed = { ...asked, clonetype: cloneType, zoneid: undefined, templateid: undefined, hypervisor: undefined }
  const { volumes, ...source } = await vmSnapshotSource(
    app,
    caller,
    { ...deployed, details: new Map() },
    { rootGib: undefined, data: [] },
    { owner, where: {} },
  )
  const wanted = { datavolumes: true, diskofferingid: undefined }
  const dataThen = await dataVolumesAsked(app, wanted, owner, source.vmSnapshot)
  const type = cloneType ?? source.offering.clone_type
  return { vm, owner, source, disks: volumes, dataThen, isInstant, cloneType: type, vmSnapshot: id }
}

async function disksOfSnapshot(app: App, id: VmSnapshotId): Promise<SourceDisk[]> {
  const disks = await disksOf(app.db, id)
  const ids = disks.map(({ volume_id }) => volume_id)
  const volumes = await app.db.selectFrom('volume').selectAll().where('id', 'in', ids).execute()
  return disks.map(({ volume_id, device_id, size_bytes }) => {
    const volume = volumes.find(each => each.id === volume_id) as Row<'volume'>
    return { ...asDisk(volume), deviceId: device_id, sizeBytes: size_bytes }
  })
}

/** What the clones are made of: an instant of the machine, or a VM snapshot with memory. Null: not of a node. */
export async function nodeOf(
  app: App,
  tx: Tx,
  source: CloneSource,
  count: number,
  origin: JobOrigin,
): Promise<CloneNode | null> {
  const { vm, disks, isInstant, vmSnapshot } = source
  if (vmSnapshot && !isInstant) return null
  const pool = await poolOfRoot(tx, disks)
  const node = { vm: vm.id, pool, goesOn: isInstant }
  if (app.capabilitiesOf(vm.cluster_id).disks === 'machines')
    return { ...node, from: { itself: { fork: isInstant ? null : newId<'fork'>() } } }
  if (vmSnapshot) {
    await demandDeployable(tx, vmSnapshot)
    return { ...node, from: { vmSnapshot } }
  }
  return { ...node, from: await forkForClones(app, tx, { ...source, count }, origin) }
}

async function poolOfRoot(tx: Tx, [root]: readonly SourceDisk[]): Promise<StoragePoolId> {
  const { pool_id } = await tx
    .selectFrom('volume')
    .select('pool_id')
    .where('id', '=', root?.of ?? null)
    .executeTakeFirstOrThrow()
  if (!pool_id) throw new Problem('refused', 'volume-without-disk', 'The root disk of the machine has no disk yet')
  return pool_id
}
