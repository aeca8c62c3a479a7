import { deleteNetwork as deleteNetworkJob } from '../../jobs/delete-network.ts'
import { isAddressed, ofInventory } from '../../store/networks.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { networkOfCall } from '../network-call.ts'
import { flag, id } from '../parameters.ts'

export const deleteNetwork = jobCommand({
  name: 'deleteNetwork',
  description: 'Deletes a network in which no machine has a NIC any more',
  permission: 'user',
  params: {
    id: id<'network'>('the network').must,
    forced: flag('accepted for its clients; a network with machines stays all the same'),
  },
  async run({ app, caller, params }) {
    const found = await networkOfCall(app, caller, params.id)
    if (!isAddressed(found)) throw ofInventory(found, 'goes when the inventory has it no more')
    const { id: network } = found
    return { jobid: await app.jobs.start(app.db, deleteNetworkJob, { network }, originOfCall(caller, 'deleteNetwork')) }
  },
})
