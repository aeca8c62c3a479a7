// Deltas of a source: disks of others that stand on what its disks wrote before they were cut, and so on layers that it still reads. Those
// on an instant that stands still, frozen or kept, cost it nothing and are none.
import type { LayerId, VmId } from '@ramet/core/ids.ts'
import { sql } from 'kysely'
import type { Db } from './database.ts'

/** For each active layer; `evenOnKept` counts those on an instant that is kept too. */
export async function deltasOn(db: Db, tips: readonly LayerId[], evenOnKept = false): Promise<Map<LayerId, number>> {
  const { rows } = await sql<{ tip: LayerId; deltas: number }>`
    with recursive chain as (
      select v.layer_id as tip, v.id as disk, l.id as above, p.id, p.parent_id, p.volume_id
      from volume v join layer l on l.id = v.layer_id join layer p on p.id = l.parent_id and p.account_id is not null
      where v.layer_id = any(${tips}::uuid[])
      union all
      select c.tip, c.disk, c.id, p.id, p.parent_id, p.volume_id
      from chain c join layer p on p.id = c.parent_id and p.account_id is not null)
    select c.tip, count(*)::int as deltas
    from chain c join layer other on other.parent_id = c.id and other.id <> c.above and other.volume_id is distinct from c.disk
    where c.volume_id = c.disk and not exists (select from fork_disk d join fork f on f.id = d.fork_id
      where d.layer_id = c.id and (f.is_frozen or f.is_kept and not ${evenOnKept}))
    group by c.tip`.execute(db)
  return new Map(rows.map(({ tip, deltas }) => [tip, deltas]))
}

/** Of the disk that carries most. */
export async function deltasOf(db: Db, vm: VmId, evenOnKept = false): Promise<number> {
  const disks = await db
    .selectFrom('volume')
    .select('layer_id')
    .where('vm_id', '=', vm)
    .where('removed', 'is', null)
    .where('layer_id', 'is not', null)
    .execute()
  const tips = disks.flatMap(({ layer_id }) => layer_id ?? [])
  return Math.max(0, ...(await deltasOn(db, tips, evenOnKept)).values())
}

/** Clones that wait for an instant of the machine that is not there yet. */
export async function waitingFor(db: Db, vm: VmId): Promise<number> {
  const { count } = await db
    .selectFrom('vm')
    .innerJoin('fork', 'fork.id', 'vm.fork_id')
    .select(eb => eb.fn.countAll<number>().as('count'))
    .where('fork.vm_id', '=', vm)
    .where('fork.is_kept', '=', false)
    .where('fork.state', 'in', ['Allocated', 'Creating'])
    .executeTakeFirstOrThrow()
  return count
}
