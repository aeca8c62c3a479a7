import { restartNetwork as restartNetworkJob } from '../../jobs/restart-network.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { networkOfCall } from '../network-call.ts'
import { flag, id } from '../parameters.ts'

export const restartNetwork = jobCommand({
  name: 'restartNetwork',
  description: 'Makes a network whole again where something of it was lost; its machines go on',
  permission: 'user',
  params: {
    id: id<'network'>('the network').must,
    cleanup: flag('accepted for its clients; what is whole is left alone'),
  },
  async run({ app, caller, params }) {
    const { id: network } = await networkOfCall(app, caller, params.id)
    const origin = originOfCall(caller, 'restartNetwork')
    return { jobid: await app.jobs.start(app.db, restartNetworkJob, { network }, origin) }
  },
})
