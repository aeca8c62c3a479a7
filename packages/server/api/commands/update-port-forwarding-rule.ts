import { updatePortForwarding } from '../../jobs/update-port-forwarding.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { id, invalid } from '../parameters.ts'
import {
  demandOnePort,
  demandSegment,
  nicOfCall,
  ruleOfCall,
  ruleResult,
  targetParameters,
} from '../port-forwarding-call.ts'
import { publicIpOfCall } from '../public-ip-call.ts'

export const updatePortForwardingRule = jobCommand({
  name: 'updatePortForwardingRule',
  description: 'Leads a forwarded port to another port, or to another machine in the same network',
  permission: 'user',
  params: { id: id<'port-forwarding-rule'>('the rule').must, ...targetParameters },
  result: ruleResult,
  async run({ app, caller, params }) {
    const rule = await ruleOfCall(app, caller, params.id)
    demandOnePort('privateendport', params.privateport ?? rule.private_port, params.privateendport)
    if (params.vmguestip && !params.virtualmachineid)
      throw invalid('vmguestip', 'is for another machine; name that by virtualmachineid too')
    const to = {
      ...(params.privateport !== undefined && { port: params.privateport }),
      ...(params.virtualmachineid && { nic: await nicOf(params.virtualmachineid) }),
    }
    const origin = originOfCall(caller, 'updatePortForwardingRule')
    return { jobid: await app.jobs.start(app.db, updatePortForwarding, { rule: rule.id, to }, origin) }

    async function nicOf(vm: NonNullable<typeof params.virtualmachineid>) {
      const ip = await publicIpOfCall(app, caller, rule.public_ip_id)
      const network = await demandSegment(app, ip.network_id)
      return nicOfCall(app, caller, network, rule.account_id, { vm, address: params.vmguestip })
    }
  },
})
