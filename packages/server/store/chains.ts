// Chains of layers as core/chain.ts plans with them, and how long one may be.
import type { LayerId, VmId } from '@ramet/core/ids.ts'
import { type ChainFacts, chainRefusal, type Link } from '@ramet/core/chain.ts'
import { Problem } from '@ramet/core/problem.ts'
import { sql } from 'kysely'
import type { Db, Tx } from './database.ts'

/** Forks that somebody stands still in, or that clones are being made of; one that is only kept goes before its layers are worked on. */
const forksInUse = sql`(select f.* from fork_disk f join fork on fork.id = f.fork_id
  where fork.is_frozen or fork.state in ('Allocated', 'Creating') or exists (select from vm where vm.fork_id = fork.id))`

const isNamed = sql<boolean>`(exists (select from volume v where v.layer_id = c.id)
  or exists (select from vm_snapshot_disk d where d.layer_id = c.id)
  or exists (select from ${forksInUse} f where f.layer_id = c.id)
  or exists (select from template_spool_ref r where r.layer_id = c.id and not r.marked_for_gc)
  or exists (select from vmsnapshot_spool_ref r where r.id = c.id and r.state <> 'Destroying'))`

/** A link of a chain, and the VM snapshots that name it. */
export type NamedLink = Link & { readonly snapshots: readonly string[] }

/** The chain of a layer, base first, as it concerns the machine. */
export async function linksOf(db: Db, vm: VmId, layer: LayerId): Promise<NamedLink[]> {
  const { rows } = await sql<NamedLink>`
    with recursive chain as (
      select l.*, 0 as height from layer l where l.id = ${layer}
      union all
      select l.*, c.height + 1 from layer l join chain c on l.id = c.parent_id),
    above as (
      select id as root, id, state from chain where account_id is not null
      union all
      select a.root, l.id, l.state from layer l join above a on l.parent_id = a.id),
    shared as (
      -- A layer that is being made is going to be somebody's.
      select root from above where state = 'creating'
      union
      select a.root from above a join volume v on v.layer_id = a.id where v.vm_id is distinct from ${vm}
      union
      select a.root from above a join vm_snapshot_disk d on d.layer_id = a.id join vm_snapshot s on s.id = d.snapshot_id
        where s.vm_id <> ${vm}
      union
      -- What a fork names is being read, or copied, by clones.
      select a.root from above a join ${forksInUse} f on f.layer_id = a.id
      union
      select a.root from above a join template_spool_ref r on r.layer_id = a.id)
    select c.id, c.allocated_bytes as bytes, c.account_id is not null as owned, ${isNamed} as named,
      c.account_id is not null and c.id not in (select root from shared) as exclusive,
      (select count(*)::int from layer l where l.parent_id = c.id) as children,
      array(select s.display_name from vm_snapshot_disk d join vm_snapshot s on s.id = d.snapshot_id
        where d.layer_id = c.id order by s.display_name) as snapshots
    from chain c order by c.height desc`.execute(db)
  return rows
}

/** A layer that a disk or a VM snapshot of the machine names. */
export interface Held {
  readonly layer: LayerId
  /** The VM snapshot's name; null: a disk writes it. */
  readonly snapshot: string | null
}

export async function layersHeldBy(db: Db, vm: VmId): Promise<Held[]> {
  const { rows } = await sql<Held>`
    select v.layer_id as layer, null as snapshot from volume v
      where v.vm_id = ${vm} and v.removed is null and v.layer_id is not null
    union all
    select d.layer_id, s.display_name from vm_snapshot_disk d join vm_snapshot s on s.id = d.snapshot_id
      where s.vm_id = ${vm}`.execute(db)
  return rows
}

/** Nobody puts anything on the machine's layers before the transaction ends; a template's copy is free, for it is only read. */
export async function holdChainsOf(tx: Tx, vm: VmId): Promise<void> {
  const held = (await layersHeldBy(tx, vm)).map(({ layer }) => layer)
  await sql`
    with recursive below as (
      select id, parent_id from layer where id = any(${held}::uuid[])
      union
      select l.id, l.parent_id from layer l join below b on l.id = b.parent_id)
    select from layer where id in (select id from below) and account_id is not null order by id for update`.execute(tx)
}

interface Limits {
  readonly hypervisor: string
  readonly longest_chain: number
}

/** Throws where the hypervisor takes no further layer on this one. */
export async function demandShortChain(tx: Tx, parent: LayerId): Promise<void> {
  const { rows } = await sql<ChainFacts & Limits>`
    with recursive c as (
      select l.id, l.parent_id, l.pool_id, l.account_id, 0 as height from layer l where l.id = ${parent}
      union all
      select l.id, l.parent_id, l.pool_id, l.account_id, c.height + 1 from layer l join c on l.id = c.parent_id),
    whole as (
      select count(*)::int as depth, count(*) filter (where account_id is not null and not ${isNamed})::int as unnamed,
        count(*) filter (where exists (select from vm_snapshot_disk d where d.layer_id = c.id))::int as kept
      from c)
    select whole.*, h.hypervisor, h.longest_chain
    from whole, c join storage_pool p on p.id = c.pool_id join cluster on cluster.id = p.cluster_id
      join hypervisor_capabilities h on h.hypervisor = cluster.hypervisor
    where c.height = 0`.execute(tx)
  const [found] = rows
  if (!found) return
  const reason = chainRefusal(found, found.hypervisor, found.longest_chain)
  if (reason) throw new Problem('refused', 'chain-too-long', reason)
}

/** Machines with layers in their chains that nobody names, and how many of these the longest such chain has. */
export async function unnamedByVm(db: Db): Promise<{ vm: VmId; unnamed: number }[]> {
  const { rows } = await sql<{ vm: VmId; unnamed: number }>`
    with recursive above as (
      select l.id as root, l.id from layer l
      where l.account_id is not null and l.state = 'ready'
        and not exists (select from volume v where v.layer_id = l.id)
        and not exists (select from vm_snapshot_disk d where d.layer_id = l.id)
        and not exists (select from ${forksInUse} f where f.layer_id = l.id)
        and not exists (select from template_spool_ref r where r.layer_id = l.id and not r.marked_for_gc)
      union all
      select a.root, l.id from layer l join above a on l.parent_id = a.id),
    counted as (
      select v.vm_id as vm, count(*)::int as unnamed from above a join volume v on v.layer_id = a.id group by v.id)
    select c.vm, max(c.unnamed) as unnamed from counted c join vm on vm.id = c.vm
    where vm.removed is null and vm.state in ('Running', 'Stopped') group by c.vm`.execute(db)
  return rows
}

export async function budgetOf(db: Db, vm: VmId) {
  return db
    .selectFrom('hypervisor_capabilities')
    .innerJoin('vm', 'vm.hypervisor', 'hypervisor_capabilities.hypervisor')
    .select(['consolidate_at', 'most_deltas', 'hypervisor_capabilities.hypervisor'])
    .where('vm.id', '=', vm)
    .executeTakeFirstOrThrow()
}

/** Machines whose hypervisor keeps their disks, and of how many files the deepest consists, from so many on. */
export async function deepElsewhere(db: Db, from: number): Promise<VmId[]> {
  const rows = await db
    .selectFrom('volume')
    .innerJoin('vm', 'vm.id', 'volume.vm_id')
    .select('vm.id')
    .distinct()
    .where('vm.cluster_id', 'is not', null)
    .where('vm.removed', 'is', null)
    .where('vm.state', 'in', ['Running', 'Stopped'])
    .where('volume.removed', 'is', null)
    .where('volume.disk_depth', '>=', from)
    .execute()
  return rows.map(({ id }) => id)
}
