// The NICs that a call asks for, looked up and judged before anything is written: every refusal names its parameter.
import { isWithin, addressNumber } from '@ramet/core/ipv4.ts'
import type { NetworkId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import { defaultNetwork } from '../store/networks.ts'
import type { NewNic } from '../store/nics.ts'
import type { Row } from '../store/tables.ts'
import type { Caller } from './caller.ts'
import { networkFor, usableBy } from './network-call.ts'
import { id, invalid, ipAddress, list, macAddress, records, type Values } from './parameters.ts'

export const nicParameters = {
  networkids: list('networks, the first is the default', id<'network'>('a network')),
  iptonetworklist: records('the same with addresses of your own, instead of networkids', {
    networkid: id<'network'>('a network').must,
    ip: ipAddress('an address of it that is free; chosen when absent', [4]),
    mac: macAddress('a MAC address; made up when absent'),
  }),
  ipaddress: ipAddress('address of the default NIC; a free one is chosen when absent', [4]),
  macaddress: macAddress('MAC address of the default NIC; made up when absent'),
}

type Asked = Partial<Values<typeof nicParameters>>

/** The NICs asked for, or one in the zone's default network. */
export async function chosenNics(
  app: App,
  caller: Caller,
  owner: Row<'account'>,
  zone: Row<'zone'>,
  asked: Asked,
): Promise<NewNic[]> {
  const wanted = wantedNics(asked)
  const parameter = asked.iptonetworklist?.length ? 'iptonetworklist' : 'networkids'
  if (zone.network_type === 'Basic' && wanted.length > 0)
    throw invalid(parameter, `is for zones of the type Advanced; ${zone.name} has one network, which all machines get`)
  const { mostNics } = app.capabilitiesOf(null)
  if (wanted.length > mostNics)
    throw invalid(parameter, `names ${wanted.length} networks; a machine has ${mostNics} at most`)
  const repeated = wanted.find(({ networkid }, index) => wanted.findIndex(each => each.networkid === networkid) < index)
  if (repeated) throw invalid(parameter, `names network ${repeated.networkid} twice`)
  const nics: NewNic[] = []
  for (const { networkid, ip, mac } of wanted) {
    const network = await networkFor(app, caller, owner, networkid, parameter)
    if (network.zone_id !== zone.id) throw invalid(parameter, `names network ${network.name}, which is in another zone`)
    nics.push({ network, ipAddress: ip, mac })
  }
  const [first, ...others] = nics.length > 0 ? nics : await defaultNics(app, caller, owner, zone)
  if (!first)
    throw invalid('networkids', `is missing: zone ${zone.name} has no network for everybody; createNetwork makes one`)
  if (asked.iptonetworklist?.length) return [first, ...others].map(nic => inPool(nic, 'iptonetworklist'))
  const leading = { ...first, ipAddress: asked.ipaddress || undefined, mac: asked.macaddress || undefined }
  return [inPool(leading, 'ipaddress'), ...others]
}

interface Wanted {
  readonly networkid: NetworkId
  readonly ip?: string | undefined
  readonly mac?: string | undefined
}

function wantedNics({ networkids = [], iptonetworklist = [], ipaddress, macaddress }: Asked): readonly Wanted[] {
  if (iptonetworklist.length === 0) return networkids.map(networkid => ({ networkid }))
  if (networkids.length > 0) throw invalid('iptonetworklist', 'says what networkids says; leave one of them out')
  if (ipaddress || macaddress)
    throw invalid('iptonetworklist', 'tells addresses for each network; leave out ipaddress and macaddress')
  return iptonetworklist
}

async function defaultNics(app: App, caller: Caller, owner: Row<'account'>, zone: Row<'zone'>): Promise<NewNic[]> {
  const network = await defaultNetwork(app.db, zone.id, await usableBy(app, caller, owner))
  return network ? [{ network }] : []
}

export function inPool(nic: NewNic, parameter: string): NewNic {
  const { network, ipAddress: wanted } = nic
  if (!wanted) return { ...nic, ipAddress: undefined }
  const pool = { first: addressNumber(network.start_ip) as number, last: addressNumber(network.end_ip) as number }
  if (isWithin(pool, wanted) && wanted !== network.gateway) return nic
  throw invalid(
    parameter,
    `is ${wanted}; machines of network ${network.name} have addresses from ${network.start_ip} to ${network.end_ip}, but not its gateway ${network.gateway}`,
  )
}
