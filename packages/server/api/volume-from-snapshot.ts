// A new volume that begins with content, judged before anything is written: a disk as a VM snapshot has it, or a volume's snapshot.
// It belongs to the account of the snapshot, and is in its zone.
import { cloneTypes } from '@ramet/core/clone-type.ts'
import { type DiskOfferingId, newId, type StoragePoolId, type VmId, type ZoneId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { useRefusal } from '@ramet/core/snapshot.ts'
import type { App } from '../app.ts'
import { attachVolume } from '../jobs/attach-volume.ts'
import { createVolumeFromSnapshot, type CreateVolumeFromSnapshot } from '../jobs/create-volume-from-snapshot.ts'
import { holdLockKey } from '../store/jobs.ts'
import { holdRoom } from '../store/limits.ts'
import type { Row } from '../store/tables.ts'
import { type Vm, vmLock } from '../store/vms.ts'
import { demandSnapshotAction, disksOf } from '../store/vm-snapshots.ts'
import { demandSizeFits } from '../store/volume-pools.ts'
import type { Volume } from '../store/volumes.ts'
import { type Caller, originOfCall } from './caller.ts'
import type { Started } from './command.ts'
import { chosenZone } from './deployment.ts'
import { bytesOf, diskOfferingNamed, gib, insertVolume, poolInZone } from './new-volume.ts'
import { ownerOf, ownerParameters } from './ownership.ts'
import { choice, id, invalid, type Values } from './parameters.ts'
import { snapshotOfCall } from './snapshot-call.ts'
import { demandLayersOf, vmSnapshotOfCall } from './vm-snapshot-call.ts'
import { volumeOfCall } from './volume-call.ts'

export const sourceParameters = {
  vmsnapshotid: id<'vm-snapshot'>('make it of a disk as this VM snapshot has it, on the same storage; with volumeid'),
  volumeid: id<'volume'>('whose disk of the VM snapshot: the root or a data volume; with vmsnapshotid'),
  clonetype: choice(
    'with vmsnapshotid, full or linked; absent: the storage pool or the global setting decides',
    cloneTypes,
  ),
  snapshotid: id<'snapshot'>('make it of this snapshot of a volume'),
}

interface Given extends Values<typeof sourceParameters>, Values<typeof ownerParameters> {
  readonly name: string | undefined
  readonly diskofferingid: DiskOfferingId | undefined
  readonly zoneid: ZoneId | undefined
  readonly size: number | undefined
  readonly displayvolume: boolean | undefined
  readonly storageid: StoragePoolId | undefined
}

interface NewContent {
  readonly of: Pick<Volume, 'account_id' | 'zone_id' | 'template_id'>
  readonly offering: DiskOfferingId | null
  readonly bytes: number
  readonly pool: StoragePoolId | null
  readonly source: CreateVolumeFromSnapshot['source']
}

export function isFromSnapshot({ vmsnapshotid, volumeid, clonetype, snapshotid }: Given): boolean {
  if (clonetype && !vmsnapshotid) throw invalid('clonetype', 'is for volumes of a VM snapshot (vmsnapshotid)')
  return (vmsnapshotid ?? volumeid ?? snapshotid) !== undefined
}

/** Writes the record of the volume, and starts what makes its disk and then attaches it to `vm`. */
export async function startFromSnapshot(app: App, caller: Caller, given: Given, vm: Vm | undefined): Promise<Started> {
  const made = given.snapshotid
    ? await ofSnapshot(app, caller, given, vm?.id ?? null)
    : await ofVmSnapshot(app, caller, given, vm)
  const owner = await ownerAsAsked(app, caller, given, made)
  const zone = await chosenZone(app, made.of.zone_id)
  if (given.zoneid && given.zoneid !== zone.id)
    throw invalid('zoneid', `names another zone than that of the snapshot, ${zone.name}`)
  demandSamePlace(vm, made)
  const origin = originOfCall(caller, 'createVolume')
  return app.db.transaction().execute(async tx => {
    await demandSizeFits(tx, made.pool ? { pool: made.pool } : { zone: zone.id }, made.bytes)
    await holdRoom(tx, owner.id, { volume: 1, primaryBytes: made.bytes })
    const volume = await insertVolume(tx, owner, {
      zone_id: zone.id,
      name: given.name ?? '',
      size_bytes: made.bytes,
      state: 'Creating',
      disk_offering_id: made.offering,
      template_id: made.of.template_id,
      pool_id: made.pool,
      display: given.displayvolume ?? true,
    })
    const input = { volume: volume.id, layer: newId<'layer'>(), source: made.source }
    // Two keys, always in one order: two calls that want the same would else wait for each other.
    const keys = [createVolumeFromSnapshot.traits.lock(input), ...(vm ? [vmLock(vm.id)] : [])]
    for (const key of keys.toSorted()) await holdLockKey(tx, key)
    const jobid = await app.jobs.start(tx, createVolumeFromSnapshot, input, origin)
    if (!vm) return { id: volume.id, jobid }
    // It is written down after the job that it waits for: so no two of such pairs wait for each other.
    const attaching = { volume: volume.id, vm: vm.id, deviceId: null, layer: newId<'layer'>(), after: jobid }
    return { id: volume.id, jobid: await app.jobs.start(tx, attachVolume, attaching, origin) }
  })
}

async function ofVmSnapshot(app: App, caller: Caller, given: Given, vm: Vm | undefined): Promise<NewContent> {
  const { vmsnapshotid, volumeid, clonetype } = given
  if (!vmsnapshotid) throw invalid('vmsnapshotid', 'is missing: volumeid says whose disk of a VM snapshot is meant')
  if (!volumeid) throw invalid('volumeid', 'is missing: it says whose disk of the VM snapshot (vmsnapshotid) is meant')
  for (const name of ['diskofferingid', 'size', 'storageid'] as const)
    if (given[name] !== undefined)
      throw invalid(name, 'and vmsnapshotid exclude each other: the volume gets that of the one it is made of')
  const snapshot = await vmSnapshotOfCall(app, caller, vmsnapshotid)
  const of = await volumeOfCall(app, caller, volumeid, 'volumeid')
  demandSnapshotAction(snapshot, 'use')
  await demandLayersOf(app, snapshot)
  const disk = (await disksOf(app.db, snapshot.id)).find(each => each.volume_id === of.id)
  if (!disk) throw invalid('volumeid', `names ${of.name}, of which VM snapshot ${snapshot.display_name} has no disk`)
  if (vm?.id === snapshot.vm_id)
    throw invalid('virtualmachineid', `names ${vm.name}, to which nothing is attached while it has VM snapshots`)
  const { pool_id: pool } = await app.db
    .selectFrom('layer')
    .select('pool_id')
    .where('id', '=', disk.layer_id)
    .executeTakeFirstOrThrow()
  const source = { vmSnapshot: snapshot.id, vm: snapshot.vm_id, volume: of.id, cloneType: clonetype ?? null }
  return { of, offering: of.disk_offering_id, bytes: disk.size_bytes, pool, source }
}

async function ofSnapshot(app: App, caller: Caller, given: Given, reach: VmId | null): Promise<NewContent> {
  for (const name of ['vmsnapshotid', 'volumeid'] as const)
    if (given[name]) throw invalid('snapshotid', `and ${name} exclude each other`)
  const snapshot = await snapshotOfCall(app, caller, given.snapshotid as NonNullable<Given['snapshotid']>, 'snapshotid')
  const reason = useRefusal(snapshot)
  if (reason) throw new Problem('refused', 'wrong-snapshot-state', reason)
  const volume = await app.db
    .selectFrom('volume')
    .selectAll()
    .where('id', '=', snapshot.volume_id)
    .executeTakeFirstOrThrow()
  const { account_id, zone_id, virtual_bytes: least } = snapshot
  return {
    of: { account_id, zone_id, template_id: volume.template_id },
    offering: given.diskofferingid ?? volume.disk_offering_id,
    bytes: await sizeFrom(app, given, least),
    pool: given.storageid ? await poolInZone(app, given.storageid, zone_id) : null,
    source: { snapshot: snapshot.id, reach },
  }
}

/** As large as the snapshot, or as the disk offering and the call say; never smaller. */
async function sizeFrom(app: App, { diskofferingid, size }: Given, least: number): Promise<number> {
  const offering = diskofferingid && (await diskOfferingNamed(app, diskofferingid))
  const isLarger = size !== undefined || (offering && offering.size_bytes !== null)
  if (!isLarger) return least
  const bytes = offering ? bytesOf(offering, size) : (size as number) * gib
  if (bytes >= least) return bytes
  const parameter = size === undefined ? 'diskofferingid' : 'size'
  throw invalid(
    parameter,
    `asks for ${bytes / gib} GiB, and the snapshot needs ${(least / gib).toFixed(1)} GiB at least`,
  )
}

async function ownerAsAsked(app: App, caller: Caller, given: Given, { of }: NewContent): Promise<Row<'account'>> {
  const isAsked = given.account !== undefined || given.domainid !== undefined || given.projectid !== undefined
  const asked = isAsked ? await ownerOf(app, caller, given) : undefined
  const owner = await app.db.selectFrom('account').selectAll().where('id', '=', of.account_id).executeTakeFirstOrThrow()
  if (!asked || asked.id === owner.id) return owner
  throw invalid('account', `names ${asked.name}; a volume belongs to the account of its snapshot, ${owner.name}`)
}

function demandSamePlace(vm: Vm | undefined, { of }: NewContent): void {
  if (!vm) return
  if (vm.zone_id !== of.zone_id) throw invalid('virtualmachineid', `names ${vm.name}, which is in another zone`)
  if (vm.account_id !== of.account_id)
    throw invalid('virtualmachineid', `names ${vm.name}, which belongs to another account than the volume would`)
}
