import { associateIp } from '../../jobs/associate-ip.ts'
import { insertPublicIp } from '../../store/public-ips.ts'
import { inTransaction } from '../../store/database.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { demandNetworks, networkFor } from '../network-call.ts'
import { ownerOf, ownerParameters } from '../ownership.ts'
import { flag, id, invalid, ipAddress } from '../parameters.ts'
import { demandSegment } from '../port-forwarding-call.ts'
import { chosenAddresses, publicIpResult } from '../public-ip-call.ts'

export const associateIpAddress = jobCommand({
  name: 'associateIpAddress',
  description: 'Gives a network an address of the host, so that ports of it can be led to its machines',
  permission: 'user',
  params: {
    ...ownerParameters,
    networkid: id<'network'>('the network').must,
    zoneid: id<'zone'>('its zone'),
    ipaddress: ipAddress('one of the setting public.ip.addresses; the first that the network lacks when absent', [4]),
    fordisplay: flag('accepted for its clients; users see all addresses'),
  },
  result: publicIpResult,
  async run({ app, caller, params }) {
    demandNetworks(app)
    const owner = await ownerOf(app, caller, params)
    await networkFor(app, caller, owner, params.networkid, 'networkid')
    const network = await demandSegment(app, params.networkid)
    if (params.zoneid && params.zoneid !== network.zone_id)
      throw invalid('zoneid', `is not that of network ${network.name}; leave it out`)
    const addresses = chosenAddresses(app, params.ipaddress)
    return inTransaction(app.db, async tx => {
      const ip = await insertPublicIp(tx, owner, network, addresses)
      const origin = originOfCall(caller, 'associateIpAddress')
      return { id: ip, jobid: await app.jobs.start(tx, associateIp, { ip }, origin) }
    })
  },
})
