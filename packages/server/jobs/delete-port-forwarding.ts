// Frees a port of the host, cuts the connections that came by it, and forgets the rule.
import { revokeRules, ruleLock } from '../store/port-forwarding.ts'
import type { OnRule } from './create-port-forwarding.ts'
import { defineJob, nothing } from './define-job.ts'
import { settlePorts } from './settle-port.ts'

const noWayBack = nothing('the rule is to go; the watch finishes it, or asking again')

export const deletePortForwarding = defineJob<OnRule>({
  kind: 'delete-port-forwarding',
  event: 'NET.RULEDELETE',
  doing: 'deleting port forwarding rule',
  instanceType: 'PortForwardingRule',
  cancellable: false,
  lock: input => ruleLock(input.rule),
  instance: input => input.rule,
})
  .record('revoke', { do: ({ tx, input }) => revokeRules(tx, input), undo: noWayBack })
  .act('free-port', { do: context => settlePorts(context, context.made.revoke), undo: noWayBack })
