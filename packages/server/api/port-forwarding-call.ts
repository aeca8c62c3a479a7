// What the commands on rules for forwarding ports have in common: finding one, judging ports and machines, the result of a job.
import type { NetworkId, NicId, PortForwardingRuleId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import { type ListedRule, type PortForwardingRule, ruleById, selectRules } from '../store/port-forwarding.ts'
import type { Row } from '../store/tables.ts'
import { isAddressed, ofInventory } from '../store/networks.ts'
import { nicsOf } from '../store/vms.ts'
import { type Caller, demandOwned } from './caller.ts'
import type { JobResult } from './command.ts'
import { id, integer, invalid, ipAddress } from './parameters.ts'
import { portForwardingRuleView } from './views/port-forwarding-rule.ts'
import { vmOfCall } from './vm-call.ts'

const port = (description: string) => integer(description, 1, 65_535)

/** Where a rule leads. */
export const targetParameters = {
  virtualmachineid: id<'vm'>('the machine that it leads to'),
  privateport: port('the port of the machine'),
  privateendport: port('the same as privateport: a rule is for one port'),
  vmguestip: ipAddress('the address of the machine, which has one in each network', [4]),
}

export const publicPort = port('the port of the public address, from 1024 on')

export async function ruleOfCall(app: App, caller: Caller, wanted: PortForwardingRuleId): Promise<PortForwardingRule> {
  return demandOwned(app, caller, await ruleById(app.db, wanted), 'id', wanted)
}

/** Lower ones are for programs of the host's administrator, and no rule should pass for one of them. */
const lowestPort = 1024

export function demandPublicPort(wanted: number): void {
  if (wanted < lowestPort)
    throw invalid('publicport', `is ${wanted}; ports below ${lowestPort} are the host's own, choose a higher one`)
}

export function demandOnePort(name: string, first: number | undefined, last: number | undefined): void {
  if (last !== undefined && last !== first)
    throw invalid(name, `is ${last}; a rule is for one port, so make one for each instead of a range`)
}

/** The machine's NIC in the network, if a rule of `owner` may lead there. */
export async function nicOfCall(
  app: App,
  caller: Caller,
  network: Row<'network'>,
  owner: Row<'public_ip'>['account_id'],
  asked: { readonly vm: Row<'vm'>['id']; readonly address: string | undefined },
): Promise<NicId> {
  const vm = await vmOfCall(app, caller, asked.vm, 'virtualmachineid')
  if (vm.account_id !== owner)
    throw invalid('virtualmachineid', `names ${vm.name}, which is another account's than the public address`)
  const nic = (await nicsOf(app.db, vm.id)).find(each => each.network_id === network.id)
  if (!nic) throw invalid('virtualmachineid', `names ${vm.name}, which has no NIC in network ${network.name}`)
  if (asked.address && asked.address !== nic.ip_address)
    throw invalid('vmguestip', `is ${asked.address}; ${vm.name} has ${nic.ip_address} in network ${network.name}`)
  return nic.id
}

/** The network, which machines share so that ports can lead into it. */
export async function demandSegment(app: App, wanted: NetworkId): Promise<Row<'network'>> {
  const network = await app.db
    .selectFrom('network')
    .innerJoin('network_offering', 'network_offering.id', 'network.network_offering_id')
    .selectAll('network')
    .select('network_offering.is_segment')
    .where('network.id', '=', wanted)
    .executeTakeFirstOrThrow()
  if (!isAddressed(network)) throw ofInventory(network, 'is reached by whatever leads into it, not by this server')
  if (network.is_segment) return network
  throw new Problem(
    'unsupported',
    'no-way-in',
    `In network ${network.name} each machine is alone behind NAT, and only its SSH is reached; createNetwork makes one with ways in`,
  )
}

export const ruleResult: JobResult<ListedRule> = {
  view: portForwardingRuleView,
  read: (app, job) =>
    selectRules(app.db)
      .where('port_forwarding_rule.id', '=', job.instance_id as PortForwardingRuleId)
      .executeTakeFirst(),
}
