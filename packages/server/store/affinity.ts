// Affinity groups: machines that shall share a host, or each have another.
import type { AccountId, AffinityGroupId, HostId, VmId } from '@ramet/core/ids.ts'
import type { Affinity } from '@ramet/core/placement.ts'
import { occupyingStates } from '@ramet/core/vm.ts'
import { sql } from 'kysely'
import type { Db, Tx } from './database.ts'

/** The groups of a machine, with the hosts that their other members occupy now. */
export async function affinitiesOf(db: Db, vm: VmId): Promise<Affinity[]> {
  return db
    .selectFrom('affinity_group as g')
    .innerJoin('affinity_group_vm as mine', 'mine.group_id', 'g.id')
    .select(['g.name', 'g.type'])
    .select(
      sql<HostId[]>`array(
        select distinct other.host_id from affinity_group_vm m join vm other on other.id = m.vm_id
        where m.group_id = g.id and other.id <> ${vm} and other.host_id is not null
          and other.state = any(${sql.val([...occupyingStates])}))`.as('hosts'),
    )
    .where('mine.vm_id', '=', vm)
    .orderBy('g.name')
    .execute()
}

/** Makes the machine a member of exactly these groups; one that has gone meanwhile binds nobody. */
export async function setAffinities(tx: Tx, vm: VmId, groups: readonly AffinityGroupId[]): Promise<void> {
  await tx.deleteFrom('affinity_group_vm').where('vm_id', '=', vm).execute()
  await sql`
    insert into affinity_group_vm (group_id, vm_id)
    select id, ${vm} from affinity_group where id = any(${sql.val([...groups])}::uuid[]) for key share`.execute(tx)
}

export async function affinityGroupNamed(db: Db, account: AccountId, name: string) {
  return db
    .selectFrom('affinity_group')
    .selectAll()
    .where('account_id', '=', account)
    .where('name', '=', name)
    .executeTakeFirst()
}

export function selectAffinityGroups(db: Db) {
  return db
    .selectFrom('affinity_group')
    .innerJoin('account', 'account.id', 'affinity_group.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .selectAll('affinity_group')
    .select(['account.name as account_name', 'domain.id as domain_id', 'domain.name as domain_name'])
    .select('domain.path as domain_path')
    .select(eb =>
      sql<VmId[]>`array(
        select m.vm_id from affinity_group_vm m join vm on vm.id = m.vm_id
        where m.group_id = ${eb.ref('affinity_group.id')} and vm.removed is null order by vm.number)`.as('vms'),
    )
}

export type ListedAffinityGroup = Awaited<ReturnType<ReturnType<typeof selectAffinityGroups>['execute']>>[number]
