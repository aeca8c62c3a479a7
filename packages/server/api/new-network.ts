// The addresses and the readers of a new network, judged before anything is written: every refusal names its parameter.
import { addressNumber, addressText, cidrOf, isWithin, type Range, rangeOf, usableOf } from '@ramet/core/ipv4.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import { zoneById } from '../store/infrastructure.ts'
import type { Row } from '../store/tables.ts'
import { type Caller, unknownId } from './caller.ts'
import { domainInReach } from './ownership.ts'
import { choice, flag, invalid, ipAddress, text, type Values } from './parameters.ts'

export const addressParameters = {
  gateway: ipAddress('its gateway; 10.1.1.1 when absent', [4]),
  netmask: ipAddress('its netmask; 255.255.255.0 when absent', [4]),
  startip: ipAddress('where the addresses of machines begin; with the first that is free when absent', [4]),
  endip: ipAddress('where they end; with the last when absent', [4]),
}

export interface Addresses {
  readonly cidr: string
  readonly gateway: string
  readonly start_ip: string
  readonly end_ip: string
}

/** Guest networks of 2 to 16 million addresses, as the name server and the gateway of one serve them. */
const [shortest, longest] = [8, 30]

/** Neither this machine's own addresses, nor those for one link or for groups: no guest would send to them. */
const special = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3'].map(cidr => rangeOf(cidr) as Range)

export function chosenAddresses(asked: Values<typeof addressParameters>): Addresses {
  const gateway = asked.gateway || '10.1.1.1'
  const cidr = cidrOf(gateway, asked.netmask || '255.255.255.0')
  const usable = cidr && usableOf(cidr)
  const bits = Number(cidr?.split('/')[1])
  if (!cidr || !usable || bits < shortest || bits > longest)
    throw invalid('netmask', `must be that of a network of /${shortest} to /${longest}, such as 255.255.255.0`)
  if (!isWithin(usable, gateway))
    throw invalid('gateway', `is ${gateway}, which no machine of ${cidr} can have; take one in between`)
  if (special.some(({ first, last }) => first <= usable.last && usable.first <= last))
    throw invalid('gateway', `is in ${cidr}, which has addresses of a special meaning; take one such as 10.1.1.1`)
  return { cidr, gateway, ...chosenPool(usable, gateway, asked) }
}

function chosenPool(usable: Range, gateway: string, { startip, endip }: Values<typeof addressParameters>) {
  const own = addressNumber(gateway) as number
  const start_ip = startip || addressText(own === usable.first ? usable.first + 1 : usable.first)
  const end_ip = endip || addressText(own === usable.last ? usable.last - 1 : usable.last)
  for (const [name, address] of [
    ['startip', start_ip],
    ['endip', end_ip],
  ] as const)
    if (!isWithin(usable, address))
      throw invalid(
        name,
        `is ${address}; machines have ${addressText(usable.first)} to ${addressText(usable.last)} there`,
      )
  if ((addressNumber(start_ip) as number) > (addressNumber(end_ip) as number))
    throw invalid('endip', `is ${end_ip}, before the first address ${start_ip}`)
  if (start_ip === end_ip && start_ip === gateway)
    throw invalid('endip', `leaves the gateway ${gateway} alone, and no address for machines`)
  return { start_ip, end_ip }
}

export const readerParameters = {
  acltype: choice('whom it is for; as the offering says when absent', ['Account', 'Domain']),
  subdomainaccess: flag('of a network for a domain: also for the accounts of domains below; true when absent'),
}

interface Asked extends Values<typeof readerParameters> {
  readonly domainid?: Row<'domain'>['id'] | undefined
  readonly account?: string | undefined
}

/** A shared network is for all accounts of a domain, and made by administrators of it. */
export async function chosenReaders(
  app: App,
  caller: Caller,
  offering: Row<'network_offering'>,
  asked: Asked,
): Promise<Pick<Row<'network'>, 'domain_id' | 'subdomain_access'>> {
  const isShared = offering.guest_ip_type === 'Shared'
  if (isShared && caller.account.type === 'User')
    throw new Problem(
      'forbidden',
      'shared-by-administrators',
      `Parameter networkofferingid: networks of ${offering.name} are shared, and made by administrators`,
    )
  if (!isShared && asked.acltype === 'Domain')
    throw invalid('acltype', `must be Account: networks of ${offering.name} are for one account`)
  if (!isShared || asked.acltype === 'Account') return { domain_id: null, subdomain_access: true }
  if (asked.account) throw invalid('account', 'is for networks of one account; acltype=Account makes one')
  const domain = asked.domainid ? await domainInReach(app, caller, asked.domainid) : caller.domain
  return { domain_id: domain.id, subdomain_access: asked.subdomainaccess ?? true }
}

export async function chosenNetworkOffering(
  app: App,
  wanted: Row<'network_offering'>['id'],
): Promise<Row<'network_offering'>> {
  const offerings = app.db.selectFrom('network_offering').selectAll().where('removed', 'is', null)
  const offering = await offerings.where('id', '=', wanted).executeTakeFirst()
  if (!offering) throw unknownId('networkofferingid', wanted)
  if (offering.state !== 'Enabled')
    throw invalid('networkofferingid', `names ${offering.name}, which is disabled; updateNetworkOffering enables it`)
  if (offering.of_inventory)
    throw invalid('networkofferingid', `names ${offering.name}: such networks come with the inventory of a cluster`)
  if (!offering.is_segment)
    throw invalid(
      'networkofferingid',
      `names ${offering.name}: each zone has one network of that sort, and needs no other`,
    )
  return offering
}

/** A zone that takes new networks. */
export async function zoneForNetworks(app: App, wanted: Row<'zone'>['id']): Promise<Row<'zone'>> {
  const zone = await zoneById(app.db, wanted)
  if (!zone) throw unknownId('zoneid', wanted)
  if (zone.network_type === 'Basic')
    throw invalid('zoneid', `names ${zone.name}, a zone of the type Basic, which has one network`)
  return zone
}

export const networkDomain = text('what names of machines end in, inside, such as lab.internal')
