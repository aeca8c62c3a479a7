// Forks on disk: a machine at one instant, with the layers and perhaps the memory of that instant, for clones to be made of. Whatever is
// being made of one says so by `vm.fork_id`; when nothing is, the fork goes, and its layers are as hidden as those of a deleted VM snapshot.
import type { ForkId, JobId, LayerId, MemoryImageId, VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { sql, type Updateable } from 'kysely'
import type { Db, Tx } from './database.ts'
import type { Row, Tables } from './tables.ts'
import type { NamedDisk } from './vm-snapshots.ts'
import { vmLock } from './vms.ts'

export type Fork = Row<'fork'>

export async function insertFork(
  tx: Tx,
  fork: Pick<Fork, 'id' | 'vm_id' | 'with_memory'> & { readonly is_kept?: boolean },
): Promise<void> {
  await tx
    .insertInto('fork')
    .values({ ...fork, state: 'Allocated' })
    .execute()
}

/** A fork that is about to be made, with all that is wanted of it: it is not begun before the transaction ends. */
export async function forkToJoin(
  tx: Tx,
  vm: VmId,
  withMemory: boolean,
): Promise<{ fork: ForkId; job: JobId } | undefined> {
  const found = await tx
    .selectFrom('fork')
    .select('id')
    .where('vm_id', '=', vm)
    .where('state', '=', 'Allocated')
    .where('is_kept', '=', false)
    .$if(withMemory, query => query.where('with_memory', '=', true))
    .orderBy('created')
    .forUpdate()
    .executeTakeFirst()
  const job = found && (await jobMaking(tx, vm, found.id))
  return job && { fork: found.id, job }
}

export async function jobMaking(tx: Tx, vm: VmId, fork: ForkId): Promise<JobId | undefined> {
  const job = await tx
    .selectFrom('job')
    .select('id')
    .where('lock_key', '=', vmLock(vm))
    .where('kind', '=', 'fork-vm')
    .where('completed', 'is', null)
    .where(sql<boolean>`input ->> 'fork' = ${fork}`)
    .executeTakeFirst()
  return job?.id
}

/** The one in which a frozen machine stands still; it stays until the transaction ends. */
export async function forkOfFrozen(tx: Tx, vm: VmId): Promise<Fork | undefined> {
  return tx
    .selectFrom('fork')
    .selectAll()
    .where('vm_id', '=', vm)
    .where('is_frozen', '=', true)
    .forUpdate()
    .executeTakeFirst()
}

/** It does not go before the transaction ends; any number may hold it so at once. */
export async function shareFork(tx: Tx, id: ForkId): Promise<Fork | undefined> {
  return tx.selectFrom('fork').selectAll().where('id', '=', id).forShare().executeTakeFirst()
}

/** Of one that stays anyway nobody waits for the other's lock; whoever ends that looks itself, or a sweep does. */
export async function staysAnyway(db: Db, id: ForkId): Promise<boolean> {
  const fork = await db.selectFrom('fork').select(['is_frozen', 'is_kept']).where('id', '=', id).executeTakeFirst()
  return fork ? fork.is_frozen || fork.is_kept : true
}

/** The fork's row, locked until the transaction ends. */
export async function holdFork(tx: Tx, id: ForkId): Promise<Fork | undefined> {
  return tx.selectFrom('fork').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
}

export async function setFork(tx: Tx, id: ForkId, set: Updateable<Tables['fork']>): Promise<void> {
  await tx.updateTable('fork').set(set).where('id', '=', id).execute()
}

export async function nameDisksOfFork(tx: Tx, fork: ForkId, disks: readonly NamedDisk[]): Promise<void> {
  const rows = disks.map(({ volume, layer, deviceId, bytes }) => ({
    fork_id: fork,
    volume_id: volume,
    layer_id: layer,
    device_id: deviceId,
    size_bytes: bytes,
  }))
  await tx.insertInto('fork_disk').values(rows).execute()
}

export async function disksOfFork(db: Db, fork: ForkId): Promise<Row<'fork_disk'>[]> {
  return db.selectFrom('fork_disk').selectAll().where('fork_id', '=', fork).orderBy('device_id').execute()
}

/** The instant of a running machine that further clones are made of; it stays until the transaction ends. */
export async function keptForkOf(tx: Tx, vm: VmId): Promise<Fork | undefined> {
  return tx
    .selectFrom('fork')
    .selectAll()
    .where('vm_id', '=', vm)
    .where('is_kept', '=', true)
    .forUpdate()
    .executeTakeFirst()
}

/** Whether nothing is being made of it any more, nobody stands still in it, and it is not kept. */
export async function isForkUnneeded(tx: Tx, { id, is_frozen, is_kept, state }: Fork): Promise<boolean> {
  if (is_frozen || is_kept || state === 'Allocated' || state === 'Creating') return false
  const made = await tx.selectFrom('vm').select('id').where('fork_id', '=', id).executeTakeFirst()
  return made === undefined
}

/** Deletes the record; answers what has lost a name. */
export async function forgetFork(tx: Tx, { id, memory_image_id: memory }: Fork): Promise<Freed> {
  const layers = (await disksOfFork(tx, id)).map(({ layer_id }) => layer_id)
  await tx.deleteFrom('fork').where('id', '=', id).execute()
  return { layers, memory }
}

export interface Freed {
  readonly layers: readonly LayerId[]
  readonly memory: MemoryImageId | null
}

/** Forks that nothing is being made of, and those that were to be made although no job is at it any more. */
export async function leftForks(db: Db): Promise<ForkId[]> {
  const { rows } = await sql<{ id: ForkId }>`
    select f.id from fork f
    where not f.is_frozen and not f.is_kept and not exists (select from vm where vm.fork_id = f.id)
      and not exists (select from job j where j.completed is null and j.input::text like '%' || f.id || '%')`.execute(
    db,
  )
  return rows.map(({ id }) => id)
}

/** Machines of which an instant is kept that is made. */
export async function sourcesKept(db: Db): Promise<VmId[]> {
  const rows = await db
    .selectFrom('fork')
    .select('vm_id')
    .where('is_kept', '=', true)
    .where('state', '=', 'Ready')
    .where(eb => eb.not(eb.exists(eb.selectFrom('vm').select('vm.id').whereRef('vm.fork_id', '=', 'fork.id'))))
    .execute()
  return rows.map(({ vm_id }) => vm_id)
}

/** Machines that stand on what the fork names, or are being made of it; not its own. */
export async function clonesOf(db: Db, fork: Pick<Fork, 'id' | 'vm_id'>): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    with recursive above as (
      select layer_id as id from fork_disk where fork_id = ${fork.id}
      union
      select l.id from layer l join above a on l.parent_id = a.id)
    select vm.name from vm where vm.removed is null and vm.id <> ${fork.vm_id} and (vm.fork_id = ${fork.id}
      or exists (select from volume v join above a on a.id = v.layer_id where v.vm_id = vm.id and v.removed is null)
      or exists (select from vm_snapshot s join vm_snapshot_disk d on d.snapshot_id = s.id join above a on a.id = d.layer_id
        where s.vm_id = vm.id))
    order by vm.number`.execute(db)
  return rows.map(({ name }) => name)
}

/** Throws while the frozen machine has clones. */
export async function demandNoClones(tx: Tx, fork: Fork, source: string): Promise<void> {
  const clones = await clonesOf(tx, fork)
  if (clones.length === 0) return
  const [some, more] = [clones.slice(0, 10).join(', '), clones.length > 10 ? ', …' : '']
  throw new Problem(
    'in-use',
    'source-has-clones',
    `Virtual machine ${source} is the frozen source of ${clones.length} ${clones.length === 1 ? 'clone' : 'clones'} (${some}${more}); destroy and expunge them, or make them independent with convertVirtualMachineToFullClone, first`,
  )
}
