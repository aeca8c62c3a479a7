// Deletes a domain: an empty one at once, with `cleanup` also the domains below it and all their accounts, each by its own
// job. From the first step on nothing new can be made in it; what fails there is finished by asking again.
import type { DomainId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Tx } from '../store/database.ts'
import { type Domain, holdTree, subtree } from '../store/domains.ts'
import { recordEvent } from '../store/events.ts'
import type { Row } from '../store/tables.ts'
import { defineJob, nothing } from './define-job.ts'
import { deleteAccount } from './delete-account.ts'
import { startOnce, untilNoneIsLeft } from './others.ts'

export interface DeleteDomain {
  readonly domain: DomainId
  readonly cleanup: boolean
}

const noWayBack = nothing('the domain is to go; asking again finishes it')

export const deleteDomain = defineJob<DeleteDomain>({
  kind: 'delete-domain',
  event: 'DOMAIN.DELETE',
  doing: 'deleting domain',
  instanceType: 'Domain',
  cancellable: false,
  lock: input => `domain:${input.domain}`,
  instance: input => input.domain,
})
  .record('close', {
    do: async ({ tx, input }) => {
      await holdTree(tx)
      const domains = await subtree(tx, await domainOf(tx, input.domain))
      const ids = domains.map(({ id }) => id)
      await tx.updateTable('domain').set({ state: 'Inactive' }).where('id', 'in', ids).execute()
      if (!input.cleanup) await demandEmpty(tx, domains)
    },
    undo: noWayBack,
  })
  .act('delete-accounts', {
    do: context =>
      untilNoneIsLeft(context, deleteAccount.traits.kind, async (tx, origin) => {
        const accounts = await accountsIn(tx, await subtree(tx, await domainOf(tx, context.input.domain)))
        return Promise.all(
          accounts.map(({ id }) =>
            startOnce(tx, context.jobs, deleteAccount, { account: id }, { ...origin, command: 'deleteAccount' }),
          ),
        )
      }),
    undo: noWayBack,
  })
  .record('forget', {
    do: async ({ tx, input, job }) => {
      await holdTree(tx)
      for (const domain of await subtree(tx, await domainOf(tx, input.domain))) {
        await tx.deleteFrom('resource_limit').where('domain_id', '=', domain.id).execute()
        await tx.updateTable('network').set({ domain_id: null }).where('domain_id', '=', domain.id).execute()
        await tx.updateTable('domain').set({ removed: new Date() }).where('id', '=', domain.id).execute()
        await recordEvent(tx, {
          type: 'DOMAIN.DELETE',
          description: `deleted domain ${domain.path}`,
          account: job.account_id,
          user: job.user_id,
          resourceType: 'Domain',
          resource: domain.id,
          startEvent: job.start_event_id,
        })
      }
    },
    undo: noWayBack,
  })

async function domainOf(tx: Tx, id: DomainId): Promise<Domain> {
  const domain = await tx.selectFrom('domain').selectAll().where('id', '=', id).executeTakeFirst()
  if (!domain || domain.removed) throw new Problem('invalid', 'unknown-domain', `There is no domain ${id}`)
  return domain
}

async function accountsIn(tx: Tx, domains: readonly Domain[]): Promise<Row<'account'>[]> {
  const ids = domains.map(({ id }) => id)
  return tx.selectFrom('account').selectAll().where('domain_id', 'in', ids).where('removed', 'is', null).execute()
}

async function demandEmpty(tx: Tx, domains: readonly Domain[]): Promise<void> {
  const { length: accounts } = await accountsIn(tx, domains)
  const below = domains.length - 1
  if (accounts + below > 0)
    throw new Problem(
      'in-use',
      'domain-not-empty',
      `The domain has ${accounts} accounts and ${below} domains below it; delete them first, or all at once with cleanup=true`,
    )
}
