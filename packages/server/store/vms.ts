// Virtual machines on disk. A state changes only by a move of core/vm.ts, on the row as this transaction sees it.
import type { VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { refusal, type VmAction, type VmEvent, vmMoves, type VmState } from '@ramet/core/vm.ts'
import type { CloneType } from '@ramet/core/clone-type.ts'
import { type RawBuilder, sql, type Updateable } from 'kysely'
import { standOnNothing } from './clone-sources.ts'
import type { Db, Tx } from './database.ts'
import type { Row, Tables } from './tables.ts'

export type Vm = Row<'vm'>

/** Jobs on one machine run one at a time; this is their key. */
export function vmLock(vm: VmId): string {
  return `vm:${vm}`
}

export async function vmById(db: Db, id: VmId): Promise<Vm | undefined> {
  return db.selectFrom('vm').selectAll().where('id', '=', id).executeTakeFirst()
}

/** The machine's row, locked until the transaction ends. */
export async function holdVm(tx: Tx, id: VmId): Promise<Vm> {
  const vm = await tx.selectFrom('vm').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
  if (!vm) throw new Problem('invalid', 'unknown-vm', `There is no virtual machine ${id}`)
  return vm
}

/** Throws the sentence of core/vm.ts when `action` must wait. */
export function demandAction(vm: Vm, action: VmAction): void {
  const reason = refusal(vm, action)
  if (reason) throw new Problem('refused', 'wrong-vm-state', reason)
}

/** Makes the move `event`, or throws when the machine's state has no such move. */
export async function moveVm(tx: Tx, id: VmId, event: VmEvent, set: Updateable<Tables['vm']> = {}): Promise<Vm> {
  const moves = Object.entries(vmMoves[event]) as [VmState, VmState][]
  const after = sql<VmState>`case state ${sql.join(
    moves.map(([from, to]) => sql`when ${from} then ${to}`),
    sql` `,
  )} end`
  const moved = await tx
    .updateTable('vm')
    .set({ ...identityAfter(after), ...set, state: after, updated: new Date(), update_count: sql`update_count + 1` })
    .where('id', '=', id)
    .where(
      'state',
      'in',
      moves.map(([from]) => from),
    )
    .returningAll()
    .executeTakeFirst()
  if (moved) return moved
  const vm = await holdVm(tx, id)
  throw new Problem(
    'refused',
    'wrong-vm-state',
    `Virtual machine ${vm.name} is ${vm.state}; ${event} is not possible then`,
  )
}

/** What went off has lost the memory that it went on from: it boots, with a seed of its own. */
function identityAfter(after: RawBuilder<VmState>) {
  const boots = sql<boolean>`state in ('Running', 'Stopping') and ${after} = 'Stopped'`
  return {
    customized: sql<boolean>`customized or ${boots}`,
    identity_problems: sql<string[]>`case when ${boots} then '{}' else identity_problems end`,
  }
}

export async function setVm(tx: Db, id: VmId, set: Updateable<Tables['vm']>): Promise<Vm> {
  return tx
    .updateTable('vm')
    .set({ ...set, updated: new Date(), update_count: sql`update_count + 1` })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** How the machine was cloned; a missing row means linked. */
export async function cloneTypeOf(db: Db, vm: VmId): Promise<CloneType> {
  const row = await db
    .selectFrom('user_vm_clone_setting')
    .select('clone_type')
    .where('vm_id', '=', vm)
    .executeTakeFirst()
  return row?.clone_type ?? 'linked'
}

export async function setCloneType(tx: Tx, vm: VmId, cloneType: CloneType): Promise<void> {
  await tx
    .insertInto('user_vm_clone_setting')
    .values({ vm_id: vm, clone_type: cloneType })
    .onConflict(conflict => conflict.column('vm_id').doUpdateSet({ clone_type: cloneType }))
    .execute()
  if (cloneType !== 'full') return
  await setVm(tx, vm, { is_instant: false })
  await standOnNothing(tx, vm)
}

/** As CloudStack counts: the default one's rate is that of the service offering, where that has one. */
const rateOfNic = sql<number | null>`case when nic.is_default then
  coalesce(service_offering.network_rate, network_offering.network_rate) else network_offering.network_rate end`

/** With what each must know of its network. */
export async function nicsOf(db: Db, vm: VmId) {
  return db
    .selectFrom('nic')
    .innerJoin('network', 'network.id', 'nic.network_id')
    .selectAll('nic')
    .innerJoin('network_offering', 'network_offering.id', 'network.network_offering_id')
    .select(['network.cidr', 'network.gateway', 'network.network_domain', 'network.foreign_name'])
    .select(['network_offering.is_segment', 'network_offering.forwards_ssh', 'network_offering.source_nat'])
    .select('network_offering.reaches_host')
    .innerJoin('vm', 'vm.id', 'nic.vm_id')
    .innerJoin('service_offering', 'service_offering.id', 'vm.service_offering_id')
    .select(rateOfNic.as('network_rate'))
    .where('nic.vm_id', '=', vm)
    .orderBy('nic.device_id')
    .execute()
}

/** The account that owns the machine, and as whose user its process runs. */
export async function accountOfVm(db: Db, vm: VmId): Promise<Row<'account'>> {
  return db
    .selectFrom('account')
    .innerJoin('vm', 'vm.account_id', 'account.id')
    .selectAll('account')
    .where('vm.id', '=', vm)
    .executeTakeFirstOrThrow()
}
