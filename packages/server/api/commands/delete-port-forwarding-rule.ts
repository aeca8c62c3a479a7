import { deletePortForwarding } from '../../jobs/delete-port-forwarding.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { ruleOfCall } from '../port-forwarding-call.ts'

export const deletePortForwardingRule = jobCommand({
  name: 'deletePortForwardingRule',
  description: 'Frees a forwarded port, and cuts the connections that came by it',
  permission: 'user',
  params: { id: id<'port-forwarding-rule'>('the rule').must },
  async run({ app, caller, params }) {
    const { id: rule } = await ruleOfCall(app, caller, params.id)
    const origin = originOfCall(caller, 'deletePortForwardingRule')
    return { jobid: await app.jobs.start(app.db, deletePortForwarding, { rule }, origin) }
  },
})
