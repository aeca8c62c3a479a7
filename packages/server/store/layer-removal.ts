// What can be done now about a layer that nobody names any more, and under which lock. A merge needs everybody who stands on the
// two layers to hold still: they must be the disks and VM snapshots of one machine, or one volume.
import type { JobId, LayerId, VmId, VolumeId } from '@ramet/core/ids.ts'
import { planRemoval } from '@ramet/core/layer.ts'
import { sql } from 'kysely'
import type { Db, Tx } from './database.ts'
import { forestAround, layerChain } from './layers.ts'
import { vmLock } from './vms.ts'

export type Removal =
  | { readonly op: 'discard' }
  | { readonly op: 'merge'; readonly into: LayerId; readonly lock: string }

/** Null when the layer is named after all, gone, or stays hidden for now. */
export async function removalOf(db: Db, id: LayerId): Promise<Removal | null> {
  const forest = await forestAround(db, [id])
  if (!forest.has(id) || forest.get(id)?.named) return null
  const [first] = planRemoval(forest, id)
  if (first?.op === 'discard') return { op: 'discard' }
  if (first?.op !== 'merge') return null
  const lock = await mergeLock(db, first.into)
  return lock === null ? null : { op: 'merge', into: first.into, lock }
}

/** Under which lock something can be merged into the layer now; null when that must wait. */
export async function mergeLock(db: Db, into: LayerId): Promise<string | null> {
  const standing = await standingOn(db, into)
  const [lock, ...others] = new Set(standing.map(lockOf))
  return lock === undefined || others.length > 0 || standing.some(({ isGoing }) => isGoing) ? null : lock
}

interface Standing {
  readonly vm: VmId | null
  /** Null: a VM snapshot of the machine. */
  readonly volume: VolumeId | null
  /** The machine is about to be expunged, so a merge for it would be in vain; or it is a fork, which is soon gone. */
  readonly isGoing: boolean
}

function lockOf({ vm, volume }: Standing): string {
  return vm ? vmLock(vm) : `volume:${volume}`
}

/** Every disk and VM snapshot whose chain has the layer in it. */
async function standingOn(db: Db, layer: LayerId): Promise<Standing[]> {
  const { rows } = await sql<Standing>`
    with recursive above as (
      select id from layer where id = ${layer}
      union all
      select l.id from layer l join above a on l.parent_id = a.id),
    named as (
      select v.vm_id as vm, v.id as volume from volume v where v.layer_id in (select id from above)
      union
      select s.vm_id, null from vm_snapshot_disk d join vm_snapshot s on s.id = d.snapshot_id
        where d.layer_id in (select id from above))
    select named.vm, named.volume, coalesce(vm.state in ('Destroyed', 'Expunging', 'Error'), false) as "isGoing"
    from named left join vm on vm.id = named.vm
    union all
    select null, null, true from fork_disk f where f.layer_id in (select id from above)`.execute(db)
  return rows
}

/** The disk of a machine that has the layer in its chain; undefined when only VM snapshots stand on it. */
export async function diskOver(db: Db, layer: LayerId): Promise<{ vm: VmId; volume: VolumeId } | undefined> {
  const found = (await standingOn(db, layer)).find(({ vm, volume }) => vm && volume)
  return found as { vm: VmId; volume: VolumeId } | undefined
}

/**
 * The job that is merging a layer which `tip` stands on, or into one. Where there is none, none begins before the transaction ends, and none
 * afterwards for which what the transaction puts on `tip` is in the way.
 */
export async function mergeUnder(tx: Tx, tip: LayerId): Promise<JobId | undefined> {
  const chain = (await layerChain(tx, tip)).map(({ id }) => id)
  await tx.selectFrom('layer').select('id').where('id', 'in', chain).orderBy('id').forShare().execute()
  const { rows } = await sql<{ id: JobId }>`
    select j.id from job j join job_step s on s.job_id = j.id and s.step in ('mark', 'plan') and s.phase = 'done'
    where j.completed is null and (
      j.kind = 'remove-layer' and s.made ->> 'op' = 'merge' and j.input ->> 'layer' = any(${chain}::text[])
      or j.kind in ('convert-vm', 'consolidate-vm') and jsonb_path_query_array(s.made, '$.plan[*].into') ?| ${chain}::text[])
    limit 1`.execute(tx)
  return rows[0]?.id
}
