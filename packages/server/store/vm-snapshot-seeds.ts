// What machines are made from of a VM snapshot: its root disk, and the seed, a flat copy of that on the same storage
// (`vmsnapshot_spool_ref`). A seed is a layer of nobody, as a template's copy is; its record bears the layer's id.
import type { Hypervisor } from '@ramet/core/clone-type.ts'
import type {
  AccountId,
  ClusterId,
  DiskOfferingId,
  JobId,
  LayerId,
  ServiceOfferingId,
  StoragePoolId,
  TemplateId,
  VmId,
  VmSnapshotId,
  ZoneId,
} from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { refusal } from '@ramet/core/vm-snapshot.ts'
import { sql } from 'kysely'
import type { Db, Tx } from './database.ts'
import type { VmSnapshot } from './vm-snapshots.ts'
import { vmLock } from './vms.ts'

/** The root disk of a machine as a VM snapshot has it. */
export interface SnapshotRoot {
  readonly snapshot: VmSnapshotId
  readonly snapshotName: string
  readonly vm: VmId
  readonly account: AccountId
  readonly zone: ZoneId
  readonly hypervisor: Hypervisor
  readonly pool: StoragePoolId
  readonly poolName: string
  readonly cluster: ClusterId
  /** Whose hypervisor keeps the disk; null: the server does. */
  readonly keptBy: ClusterId | null
  /** Null where the hypervisor keeps the disk. */
  readonly layer: LayerId | null
  readonly bytes: number
  /** What the disk was made from, and under which offering. */
  readonly image: TemplateId | null
  readonly diskOffering: DiskOfferingId | null
  /** What the machine was. */
  readonly offering: ServiceOfferingId
  readonly cpus: number
  readonly cpuMhz: number
  readonly memoryMib: number
}

/** The same, where the server keeps the disk. */
export interface LayeredRoot extends SnapshotRoot {
  readonly layer: LayerId
}

/** The same, where the hypervisor does. */
async function rootOfKept(db: Db, id: VmSnapshotId): Promise<SnapshotRoot | undefined> {
  const row = await db
    .selectFrom('vm_snapshot as s')
    .innerJoin('vm', 'vm.id', 's.vm_id')
    .innerJoin('volume as v', join => join.onRef('v.vm_id', '=', 'vm.id').on('v.device_id', '=', 0))
    .innerJoin('storage_pool as p', 'p.id', 'v.pool_id')
    .select(['s.id as snapshot', 's.display_name as snapshotName', 's.vm_id as vm', 's.account_id as account'])
    .select(['vm.zone_id as zone', 'vm.hypervisor', 'vm.cluster_id as keptBy'])
    .select(['p.id as pool', 'p.name as poolName', 'p.cluster_id as cluster'])
    .select(['v.size_bytes as bytes', 'v.template_id as image', 'v.disk_offering_id as diskOffering'])
    .select(['s.service_offering_id as offering', 's.cpus', 's.cpu_mhz as cpuMhz', 's.memory_mib as memoryMib'])
    .where('s.id', '=', id)
    .where('v.removed', 'is', null)
    .executeTakeFirst()
  return row?.keptBy ? { ...row, layer: null } : undefined
}

/** Undefined when the VM snapshot has no root disk: the machine had none, or the snapshot is in Error. */
export async function rootOfSnapshot(db: Db, id: VmSnapshotId): Promise<LayeredRoot | undefined> {
  return db
    .selectFrom('vm_snapshot as s')
    .innerJoin('vm_snapshot_disk as d', join => join.onRef('d.snapshot_id', '=', 's.id').on('d.device_id', '=', 0))
    .innerJoin('volume as v', 'v.id', 'd.volume_id')
    .innerJoin('layer as l', 'l.id', 'd.layer_id')
    .innerJoin('storage_pool as p', 'p.id', 'l.pool_id')
    .innerJoin('vm', 'vm.id', 's.vm_id')
    .select(['s.id as snapshot', 's.display_name as snapshotName', 's.vm_id as vm', 's.account_id as account'])
    .select([
      'vm.zone_id as zone',
      'vm.hypervisor',
      'l.pool_id as pool',
      'p.name as poolName',
      'p.cluster_id as cluster',
      'vm.cluster_id as keptBy',
    ])
    .select(['l.id as layer', 'd.size_bytes as bytes', 'v.template_id as image', 'v.disk_offering_id as diskOffering'])
    .select(['s.service_offering_id as offering', 's.cpus', 's.cpu_mhz as cpuMhz', 's.memory_mib as memoryMib'])
    .where('s.id', '=', id)
    .executeTakeFirst()
}

/** Throws unless machines can be made of the VM snapshot; neither it nor its machine goes before the transaction ends. */
export async function demandDeployable(tx: Tx, id: VmSnapshotId): Promise<SnapshotRoot> {
  const snapshot = await tx.selectFrom('vm_snapshot').selectAll().where('id', '=', id).forShare().executeTakeFirst()
  if (!snapshot) throw new Problem('invalid', 'unknown-vm-snapshot', `There is no VM snapshot ${id}`)
  const reason = refusal(snapshot, 'use')
  if (reason) throw new Problem('refused', 'wrong-vm-snapshot-state', reason)
  await demandSourceStays(tx, snapshot)
  return demandRoot(tx, snapshot)
}

async function demandSourceStays(tx: Tx, { display_name, vm_id }: VmSnapshot): Promise<void> {
  const vm = await tx
    .selectFrom('vm')
    .select(['name', 'state'])
    .where('id', '=', vm_id)
    .forShare()
    .executeTakeFirstOrThrow()
  const isGoing = vm.state === 'Destroyed' || vm.state === 'Expunging'
  if (isGoing || (await isBeingExpunged(tx, vm_id)))
    throw new Problem(
      'refused',
      'wrong-vm-state',
      `Virtual machine ${vm.name}, whose VM snapshot ${display_name} is, is ${isGoing ? vm.state : 'being expunged'}; one that is Destroyed can be recovered first (recoverVirtualMachine)`,
    )
}

/** A running machine that is expunged is Stopping first. */
async function isBeingExpunged(tx: Tx, vm: VmId): Promise<boolean> {
  const job = await tx
    .selectFrom('job')
    .select('id')
    .where('lock_key', '=', vmLock(vm))
    .where('kind', '=', 'expunge-vm')
    .where('completed', 'is', null)
    .executeTakeFirst()
  return job !== undefined
}

async function demandRoot(db: Db, { id, display_name }: VmSnapshot): Promise<SnapshotRoot> {
  const root = (await rootOfSnapshot(db, id)) ?? (await rootOfKept(db, id))
  if (root) return root
  throw new Problem(
    'refused',
    'vm-snapshot-without-root',
    `VM snapshot ${display_name} has no root disk, so no machine can be made from it`,
  )
}

export type Seed = { readonly layer: LayerId; readonly isReady: boolean }

export async function seedOf(db: Db, snapshot: VmSnapshotId, pool: StoragePoolId): Promise<Seed | undefined> {
  const row = await db
    .selectFrom('vmsnapshot_spool_ref')
    .select(['id', 'state'])
    .where('vm_snapshot_id', '=', snapshot)
    .where('pool_id', '=', pool)
    .executeTakeFirst()
  return row && { layer: row.id, isReady: row.state === 'Ready' }
}

/** `path` is where it is on the pool: a file of the server's, or a machine that the hypervisor has for it. */
export async function insertSeed(
  tx: Tx,
  layer: LayerId,
  path: string,
  snapshot: VmSnapshotId,
  pool: StoragePoolId,
): Promise<void> {
  await tx
    .insertInto('vmsnapshot_spool_ref')
    .values({ id: layer, pool_id: pool, vm_snapshot_id: snapshot, install_path: path, state: 'Creating' })
    .execute()
}

export async function publishSeed(tx: Tx, layer: LayerId): Promise<void> {
  await tx
    .updateTable('vmsnapshot_spool_ref')
    .set({ state: 'Ready' })
    .where('id', '=', layer)
    .where('state', '=', 'Creating')
    .execute()
}

export async function forgetSeed(tx: Tx, layer: LayerId): Promise<void> {
  await tx.deleteFrom('vmsnapshot_spool_ref').where('id', '=', layer).execute()
}

/** The layers of the seeds that go with the VM snapshot, as far as nothing stands on them. */
export async function seedLayers(db: Db, snapshot: VmSnapshotId): Promise<LayerId[]> {
  const rows = await db
    .selectFrom('vmsnapshot_spool_ref')
    .select('id')
    .where('vm_snapshot_id', '=', snapshot)
    .where('state', '=', 'Ready')
    .execute()
  return rows.map(({ id }) => id)
}

/** The seeds of a VM snapshot that is going lose their name; answers their layers. */
export async function retireSeeds(tx: Tx, snapshot: VmSnapshotId): Promise<LayerId[]> {
  const rows = await tx
    .updateTable('vmsnapshot_spool_ref')
    .set({ state: 'Destroying' })
    .where('vm_snapshot_id', '=', snapshot)
    .where('state', '=', 'Ready')
    .returning('id')
    .execute()
  return rows.map(({ id }) => id)
}

/** The unfinished job of `kind` about this VM snapshot. */
export async function jobOnSnapshot(db: Db, kind: string, snapshot: VmSnapshotId): Promise<JobId | undefined> {
  const job = await db
    .selectFrom('job')
    .select('id')
    .where('kind', '=', kind)
    .where('completed', 'is', null)
    .where(sql<boolean>`input ->> 'snapshot' = ${snapshot}`)
    .orderBy('sequence')
    .executeTakeFirst()
  return job?.id
}

/**
 * Throws while machines are being made from VM snapshots of the machine, or from this one of them. One whose undo is stuck needs
 * them no more.
 */
export async function demandNoDeployments(db: Db, vm: VmId, snapshot?: VmSnapshotId): Promise<void> {
  const { rows } = await sql<{ name: string; snapshot: string }>`
    select made.name, s.display_name as snapshot from job j
      join vm_snapshot s on s.id = coalesce(j.input -> 'vmSnapshot' ->> 'snapshot', j.input #>> '{node,from,vmSnapshot}')::uuid
      join vm made on made.id = (j.input ->> 'vm')::uuid
    where j.kind in ('deploy-vm', 'spawn-vm') and j.completed is null and j.state in ('queued', 'running') and s.vm_id = ${vm}
      ${snapshot ? sql`and s.id = ${snapshot}` : sql``}
    order by j.sequence limit 10`.execute(db)
  const [first] = rows
  if (!first) return
  throw new Problem(
    'busy',
    'vm-snapshot-deploying',
    `From VM snapshot ${first.snapshot} virtual machines are being made: ${rows.map(({ name }) => name).join(', ')}. Wait for their end, and ask again`,
  )
}
