import { disassociateIp } from '../../jobs/disassociate-ip.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { publicIpOfCall } from '../public-ip-call.ts'

export const disassociateIpAddress = jobCommand({
  name: 'disassociateIpAddress',
  description: 'Gives up a public IP address: the rules on it go, and its ports are free',
  permission: 'user',
  params: { id: id<'public-ip'>('the public IP address').must },
  async run({ app, caller, params }) {
    const { id: ip } = await publicIpOfCall(app, caller, params.id)
    const origin = originOfCall(caller, 'disassociateIpAddress')
    return { jobid: await app.jobs.start(app.db, disassociateIp, { ip }, origin) }
  },
})
