// Rules for forwarding ports on disk. A rule leads to a NIC, not to an address, so it follows the machine and nobody else. One that is
// to go is in Revoke until the hypervisor has let go of its port (jobs/settle-port.ts).
import type { NicId, PortForwardingRuleId, PublicIpId, VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { sql } from 'kysely'
import type { Forward } from '../drivers/networks.ts'
import type { Db, Tx } from './database.ts'
import type { Row } from './tables.ts'
import { tagsIn } from './tags.ts'

export type PortForwardingRule = Row<'port_forwarding_rule'>

/** A port of the host. */
export interface Port {
  readonly address: string
  readonly port: number
}

/** Jobs on one rule run one at a time; this is their key. */
export function ruleLock(rule: PortForwardingRuleId): string {
  return `port-forwarding:${rule}`
}

export async function ruleById(db: Db, id: PortForwardingRuleId): Promise<PortForwardingRule | undefined> {
  return db.selectFrom('port_forwarding_rule').selectAll().where('id', '=', id).executeTakeFirst()
}

/** Until `tx` ends, its state stays. */
export async function holdRule(tx: Tx, id: PortForwardingRuleId): Promise<PortForwardingRule | undefined> {
  const rules = tx.selectFrom('port_forwarding_rule').selectAll().where('id', '=', id)
  return rules.forUpdate().executeTakeFirst()
}

/** Throws where the rule cannot be: its port is another's, its address is given up, or its machine is on its way out. */
export async function insertRule(tx: Tx, rule: Omit<PortForwardingRule, 'state' | 'created'>): Promise<void> {
  await demandAllocated(tx, rule.public_ip_id)
  await demandStayingMachine(tx, rule.nic_id)
  const made = await tx
    .insertInto('port_forwarding_rule')
    .values(rule)
    .onConflict(conflict => conflict.columns(['address', 'public_port']).doNothing())
    .executeTakeFirst()
  if (made.numInsertedOrUpdatedRows !== 1n)
    throw new Problem(
      'conflict',
      'port-taken',
      `Parameter publicport: port ${rule.public_port} of ${rule.address} is another rule's; choose another port`,
    )
}

async function demandAllocated(tx: Tx, id: PublicIpId): Promise<void> {
  const ip = await tx.selectFrom('public_ip').select('state').where('id', '=', id).forShare().executeTakeFirst()
  if (ip?.state !== 'Allocated')
    throw new Problem(
      'refused',
      'address-not-allocated',
      'The public address is being allocated or given up; look again',
    )
}

/** Until `tx` ends, the expunging of the machine waits. */
export async function demandStayingMachine(tx: Tx, nic: NicId): Promise<void> {
  const vm = await tx
    .selectFrom('vm')
    .innerJoin('nic', 'nic.vm_id', 'vm.id')
    .select(['vm.name', 'vm.state', 'vm.removed'])
    .where('nic.id', '=', nic)
    .forShare('vm')
    .executeTakeFirst()
  if (!vm || vm.removed || ['Destroyed', 'Expunging', 'Error'].includes(vm.state))
    throw new Problem(
      'refused',
      'machine-ending',
      `Virtual machine ${vm?.name ?? ''} is ${vm?.state ?? 'gone'}; ports are forwarded to machines that stay`,
    )
}

/** Throws while ports are forwarded to the NIC. */
export async function demandNoRules(tx: Tx, nic: NicId): Promise<void> {
  const rules = tx.selectFrom('port_forwarding_rule').select(['address', 'public_port']).where('nic_id', '=', nic)
  const rule = await rules.orderBy('public_port').executeTakeFirst()
  if (rule)
    throw new Problem(
      'refused',
      'nic-has-rules',
      `Port ${rule.public_port} of ${rule.address} is forwarded to NIC ${nic}; delete its rules first (listPortForwardingRules, deletePortForwardingRule)`,
    )
}

/** A rule with all that the hypervisor must know of it. */
export type PlacedRule = PortForwardingRule & { readonly network: Row<'network'>; readonly to: string }

/** The rule that has the port, and the port itself, which nobody settles meanwhile. */
export async function holdPort(tx: Tx, { address, port }: Port): Promise<PlacedRule | undefined> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`ramet.port ${address} ${port}`}, 0))`.execute(tx)
  const rule = await tx
    .selectFrom('port_forwarding_rule')
    .innerJoin('nic', 'nic.id', 'port_forwarding_rule.nic_id')
    .selectAll('port_forwarding_rule')
    .select(['nic.network_id', sql<string>`nic.ip_address`.as('to')]) // it has one: ports lead into networks of ours only
    .where('address', '=', address)
    .where('public_port', '=', port)
    .forUpdate('port_forwarding_rule')
    .executeTakeFirst()
  if (!rule) return undefined
  const networks = tx.selectFrom('network').selectAll().where('id', '=', rule.network_id)
  return { ...rule, network: await networks.executeTakeFirstOrThrow() }
}

export function forwardOf(rule: PlacedRule): Forward {
  const { address, public_port: port, private_port, network, to } = rule
  return { address, port, network: network.id, to: { address: to, port: private_port }, ssh: null }
}

/** From now on the rules are about to go; answers their ports, which are to be settled before anything else goes. */
export async function revokeRules(
  tx: Tx,
  of: { readonly rule: PortForwardingRuleId } | { vm: VmId } | { ip: PublicIpId },
): Promise<Port[]> {
  let rules = tx.updateTable('port_forwarding_rule').set({ state: 'Revoke' })
  if ('rule' in of) rules = rules.where('id', '=', of.rule)
  else if ('ip' in of) rules = rules.where('public_ip_id', '=', of.ip)
  else rules = rules.where('nic_id', 'in', tx.selectFrom('nic').select('id').where('vm_id', '=', of.vm))
  return rules.returning(['address', 'public_port as port']).execute()
}

/** Rules with everything that a list shows of them. */
export function selectRules(db: Db) {
  return db
    .selectFrom('port_forwarding_rule')
    .innerJoin('nic', 'nic.id', 'port_forwarding_rule.nic_id')
    .innerJoin('vm', 'vm.id', 'nic.vm_id')
    .selectAll('port_forwarding_rule')
    .select(['nic.network_id', 'nic.ip_address', 'vm.id as vm_id', 'vm.name as vm_name', 'vm.display_name'])
    .select(tagsIn(db, 'port_forwarding_rule.id').as('tags'))
}

export type ListedRule = Awaited<ReturnType<ReturnType<typeof selectRules>['execute']>>[number]
