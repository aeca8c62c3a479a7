// Closes an account: its users can neither log in nor call. Locked, its machines run on; disabled, they are stopped too.
import type { AccountId } from '@ramet/core/ids.ts'
import { demandNotFirst, holdAccount, setAccountState } from '../store/accounts.ts'
import { defineJob, nothing } from './define-job.ts'
import { accountLock } from './delete-account.ts'
import { startOnce, untilNoneIsLeft } from './others.ts'
import { stopVm } from './stop-vm.ts'

export interface DisableAccount {
  readonly account: AccountId
  /** Only lock it. */
  readonly lock: boolean
}

const staysClosed = nothing('the account stays closed; enableAccount opens it, and asking again stops what still runs')

export const disableAccount = defineJob<DisableAccount>({
  kind: 'disable-account',
  event: 'ACCOUNT.DISABLE',
  doing: 'disabling account',
  instanceType: 'Account',
  cancellable: false,
  lock: input => accountLock(input.account),
  instance: input => input.account,
})
  .record('close', {
    do: async ({ tx, input }) => {
      demandNotFirst(await holdAccount(tx, input.account))
      await setAccountState(tx, input.account, input.lock ? 'locked' : 'disabled')
    },
    undo: staysClosed,
  })
  .act('stop-machines', {
    do: context =>
      untilNoneIsLeft(context, stopVm.traits.kind, async (tx, origin) => {
        if (context.input.lock) return []
        const running = await tx
          .selectFrom('vm')
          .select('id')
          .where('account_id', '=', context.input.account)
          .where('removed', 'is', null)
          .where('state', 'in', ['Running', 'Starting'])
          .execute()
        const stop = { ...origin, command: 'stopVirtualMachine' }
        return Promise.all(
          running.map(({ id }) => startOnce(tx, context.jobs, stopVm, { vm: id, forced: false }, stop)),
        )
      }),
    undo: staysClosed,
  })
