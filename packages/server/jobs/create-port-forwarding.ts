// Leads a port of the host to a machine. The rule was written down by the call, and its port is nobody else's since then; where the
// hypervisor cannot have the port, the rule goes again.
import type { PortForwardingRuleId } from '@ramet/core/ids.ts'
import { type Database, inTransaction } from '../store/database.ts'
import { revokeRules, ruleById, ruleLock } from '../store/port-forwarding.ts'
import { defineJob, nothing } from './define-job.ts'
import { settlePort, settlePorts } from './settle-port.ts'

export interface OnRule {
  readonly rule: PortForwardingRuleId
}

export const createPortForwarding = defineJob<OnRule>({
  kind: 'create-port-forwarding',
  event: 'NET.RULEADD',
  doing: 'making port forwarding rule',
  instanceType: 'PortForwardingRule',
  cancellable: false,
  lock: input => ruleLock(input.rule),
  instance: input => input.rule,
})
  .act('forward', {
    do: async context => {
      const rule = await ruleById(context.db, context.input.rule)
      if (rule) await settlePort(context, { address: rule.address, port: rule.public_port })
    },
    undo: async context => settlePorts(context, await revoke(context.db, context.input)),
  })
  .record('activate', {
    do: async ({ tx, input }) => {
      const rules = tx.updateTable('port_forwarding_rule').set({ state: 'Active' }).where('id', '=', input.rule)
      await rules.where('state', '=', 'Add').execute()
    },
    undo: nothing('the rule goes as a whole'),
  })

const revoke = (db: Database, { rule }: OnRule) => inTransaction(db, tx => revokeRules(tx, { rule }))
