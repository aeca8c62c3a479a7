import { networkDomainRefusal } from '@ramet/core/names.ts'
import { updateNetwork as updateNetworkJob } from '../../jobs/update-network.ts'
import { isAddressed, ofInventory } from '../../store/networks.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { networkOfCall, networkResult } from '../network-call.ts'
import { networkDomain } from '../new-network.ts'
import { id, invalid, label, text } from '../parameters.ts'

export const updateNetwork = jobCommand({
  name: 'updateNetwork',
  description: 'Changes the name of a network, its description, or what names of its machines end in',
  permission: 'user',
  params: {
    id: id<'network'>('the network').must,
    name: label('new name'),
    displaytext: text('new description'),
    networkdomain: networkDomain,
  },
  result: networkResult,
  async run({ app, caller, params }) {
    const found = await networkOfCall(app, caller, params.id)
    const { id: network } = found
    if (params.networkdomain && !isAddressed(found)) throw ofInventory(found, 'is told no names by this server')
    const refusal = params.networkdomain ? networkDomainRefusal(params.networkdomain) : null
    if (refusal) throw invalid('networkdomain', refusal)
    const to = {
      ...(params.name && { name: params.name }),
      ...(params.displaytext && { display_text: params.displaytext }),
      ...(params.networkdomain !== undefined && { network_domain: params.networkdomain || null }),
    }
    const origin = originOfCall(caller, 'updateNetwork')
    return { jobid: await app.jobs.start(app.db, updateNetworkJob, { network, to }, origin) }
  },
})
