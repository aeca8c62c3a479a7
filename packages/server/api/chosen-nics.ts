// The NICs that a call asks for, looked up and judged before anything is written: every refusal names its parameter.
import { isWithin, addressNumber } from '@ramet/core/ipv4.ts'
import type { ClusterId, NetworkId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import { clusterNetwork } from '../store/foreign-networks.ts'
import { defaultNetwork, isAddressed, type Network } from '../store/networks.ts'
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

/** Where the machine is to be: in the cluster of a hypervisor that keeps its own disks, or on the server's own hosts. */
interface Where {
  readonly zone: Row<'zone'>
  readonly cluster: ClusterId | null
}

/** The NICs asked for, or one in the default network. */
export async function chosenNics(
  app: App,
  caller: Caller,
  owner: Row<'account'>,
  { zone, cluster }: Where,
  asked: Asked,
): Promise<NewNic[]> {
  const wanted = wantedNics(asked)
  const parameter = asked.iptonetworklist?.length ? 'iptonetworklist' : 'networkids'
  if (zone.network_type === 'Basic' && wanted.length > 0)
    throw invalid(parameter, `is for zones of the type Advanced; ${zone.name} has one network, which all machines get`)
  const { mostNics } = app.capabilitiesOf(cluster)
  if (wanted.length > mostNics)
    throw invalid(parameter, `names ${wanted.length} networks; a machine has ${mostNics} at most`)
  const repeated = wanted.find(({ networkid }, index) => wanted.findIndex(each => each.networkid === networkid) < index)
  if (repeated) throw invalid(parameter, `names network ${repeated.networkid} twice`)
  const nics: NewNic[] = []
  for (const { networkid, ip, mac } of wanted) {
    const network = await networkFor(app, caller, owner, networkid, parameter)
    if (network.zone_id !== zone.id) throw invalid(parameter, `names network ${network.name}, which is in another zone`)
    await demandNetworkOf(app, cluster, network, parameter)
    nics.push({ network, ipAddress: ip, mac })
  }
  const [first, ...others] = nics.length > 0 ? nics : await defaultNics(app, caller, owner, { zone, cluster })
  if (!first && cluster)
    throw invalid(
      'networkids',
      'is missing: the inventory of the cluster has no network (updateCluster guestvswitchname)',
    )
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

/** A hypervisor that keeps its own disks has networks of its own too, and its machines can be in no other. */
export async function demandNetworkOf(
  app: App,
  cluster: ClusterId | null,
  { name, cluster_id }: Network,
  parameter: string,
): Promise<void> {
  if (cluster_id === cluster) return
  const nameOf = async (of: ClusterId) =>
    (await app.db.selectFrom('cluster').select('name').where('id', '=', of).executeTakeFirst())?.name
  if (cluster)
    throw invalid(
      parameter,
      `names network ${name}, and the machine is in cluster ${await nameOf(cluster)}, which has networks of its own; listNetworks shows them with its clusterid`,
    )
  throw invalid(
    parameter,
    `names network ${name} of cluster ${await nameOf(cluster_id as ClusterId)}, and the machine is elsewhere`,
  )
}

async function defaultNics(
  app: App,
  caller: Caller,
  owner: Row<'account'>,
  { zone, cluster }: Where,
): Promise<NewNic[]> {
  const network = cluster
    ? await clusterNetwork(app.db, cluster)
    : await defaultNetwork(app.db, zone.id, await usableBy(app, caller, owner))
  return network ? [{ network }] : []
}

export function inPool(nic: NewNic, parameter: string): NewNic {
  const { network, ipAddress: wanted } = nic
  if (!wanted) return { ...nic, ipAddress: undefined }
  if (!isAddressed(network))
    throw invalid(parameter, `is ${wanted}; in network ${network.name} addresses are given by whoever serves it`)
  const pool = { first: addressNumber(network.start_ip) as number, last: addressNumber(network.end_ip) as number }
  if (isWithin(pool, wanted) && wanted !== network.gateway) return nic
  throw invalid(
    parameter,
    `is ${wanted}; machines of network ${network.name} have addresses from ${network.start_ip} to ${network.end_ip}, but not its gateway ${network.gateway}`,
  )
}
