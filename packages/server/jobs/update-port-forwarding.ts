// Leads a port of the host elsewhere: to another port, or another machine in the same network. Connections that are there go on.
import type { NicId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { inTransaction, type Tx } from '../store/database.ts'
import { demandStayingMachine, type Port, ruleLock } from '../store/port-forwarding.ts'
import type { OnRule } from './create-port-forwarding.ts'
import { defineJob, nothing } from './define-job.ts'
import { settlePort } from './settle-port.ts'

interface Target {
  readonly nic: NicId
  readonly port: number
}

export interface UpdatePortForwarding extends OnRule {
  readonly to: Partial<Target>
}

export const updatePortForwarding = defineJob<UpdatePortForwarding>({
  kind: 'update-port-forwarding',
  event: 'NET.RULEMODIFY',
  doing: 'changing port forwarding rule',
  instanceType: 'PortForwardingRule',
  cancellable: false,
  lock: input => ruleLock(input.rule),
  instance: input => input.rule,
})
  .record('remember', {
    do: async ({ tx, input }) => {
      const rules = tx.selectFrom('port_forwarding_rule').selectAll().where('id', '=', input.rule).forUpdate()
      const rule = await rules.executeTakeFirst()
      if (!rule) throw new Problem('invalid', 'unknown-id', `There is no port forwarding rule ${input.rule} any more`)
      const at: Port = { address: rule.address, port: rule.public_port }
      return { at, target: { nic: rule.nic_id, port: rule.private_port } }
    },
    undo: nothing('it changes nothing'),
  })
  .record('write', {
    do: async ({ tx, input, made }) => {
      const target = { ...made.remember.target, ...input.to }
      await demandStayingMachine(tx, target.nic)
      await write(tx, input, target)
    },
    undo: ({ tx, input, made }) => write(tx, input, made.remember.target),
  })
  .act('forward', {
    do: async context => settlePort(context, context.made.remember.at),
    undo: async context => {
      const { db, input, made } = context
      await inTransaction(db, tx => write(tx, input, made.remember.target))
      await settlePort(context, made.remember.at)
    },
  })

async function write(tx: Tx, { rule }: OnRule, { nic, port }: Target): Promise<void> {
  const rules = tx.updateTable('port_forwarding_rule').set({ nic_id: nic, private_port: port })
  await rules.where('id', '=', rule).execute()
}
