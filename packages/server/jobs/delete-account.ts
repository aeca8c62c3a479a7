// Deletes an account with everything it owns: machines, volumes and templates by their own jobs, then keys, users and the
// account itself. From the first step on it is closed and cannot be opened again; what is interrupted, or fails since the
// hypervisor does not answer, is finished by asking again.
import type { AccountId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { demandNotFirst, forgetUser, holdAccount, setAccountState, usersOf } from '../store/accounts.ts'
import type { Tx } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import { defineJob, nothing } from './define-job.ts'
import { deleteNetwork } from './delete-network.ts'
import { deleteSnapshot } from './delete-snapshot.ts'
import { deleteTemplate } from './delete-template.ts'
import { destroyVolume } from './destroy-volume.ts'
import { expungeVm } from './expunge-vm.ts'
import { openJobOf, startOnce, untilNoneIsLeft } from './others.ts'
import { removeLayer } from './remove-layer.ts'

export interface DeleteAccount {
  readonly account: AccountId
}

const noWayBack = nothing('the account is to go; asking again finishes it')

export const deleteAccount = defineJob<DeleteAccount>({
  kind: 'delete-account',
  event: 'ACCOUNT.DELETE',
  doing: 'deleting account',
  instanceType: 'Account',
  cancellable: false,
  lock: input => accountLock(input.account),
  instance: input => input.account,
})
  .record('close', {
    do: async ({ tx, input }) => {
      demandNotFirst(await holdAccount(tx, input.account))
      await refuseProtected(tx, input.account)
      await tx.updateTable('account').set({ cleanup_needed: true }).where('id', '=', input.account).execute()
      await setAccountState(tx, input.account, 'disabled')
    },
    undo: noWayBack,
  })
  .act('expunge-machines', {
    do: context =>
      untilNoneIsLeft(context, expungeVm.traits.kind, async (tx, origin) => {
        const vms = await machinesOf(tx, context.input.account)
        return Promise.all(
          vms.map(({ id }) =>
            startOnce(tx, context.jobs, expungeVm, { vm: id, evenRunning: true }, { ...origin, command: expunge }),
          ),
        )
      }),
    undo: noWayBack,
  })
  .act('delete-networks', {
    do: context =>
      untilNoneIsLeft(context, deleteNetwork.traits.kind, async (tx, origin) => {
        const networks = await networksOf(tx, context.input.account)
        return Promise.all(
          networks.map(({ id }) =>
            startOnce(tx, context.jobs, deleteNetwork, { network: id }, { ...origin, command: 'deleteNetwork' }),
          ),
        )
      }),
    undo: noWayBack,
  })
  .act('expunge-volumes', {
    do: context =>
      untilNoneIsLeft(context, destroyVolume.traits.kind, async (tx, origin) => {
        const volumes = await volumesOf(tx, context.input.account)
        return Promise.all(
          volumes.map(({ id }) =>
            startOnce(tx, context.jobs, destroyVolume, { volume: id, expunge: true }, { ...origin, command: destroy }),
          ),
        )
      }),
    undo: noWayBack,
  })
  .act('remove-layers', {
    do: context =>
      untilNoneIsLeft(context, removeLayer.traits.kind, async tx => {
        const layers = await tx
          .selectFrom('layer')
          .select('id')
          .where('account_id', '=', context.input.account)
          .execute()
        const { kind, lock } = removeLayer.traits
        const open = await Promise.all(layers.map(({ id }) => openJobOf(tx, kind, lock({ layer: id }))))
        return open.filter(job => job !== undefined)
      }),
    undo: noWayBack,
  })
  .act('delete-snapshots', {
    do: context =>
      untilNoneIsLeft(context, deleteSnapshot.traits.kind, async (tx, origin) => {
        const snapshots = await snapshotsOf(tx, context.input.account)
        return Promise.all(
          snapshots.map(({ id }) =>
            startOnce(tx, context.jobs, deleteSnapshot, { snapshot: id }, { ...origin, command: 'deleteSnapshot' }),
          ),
        )
      }),
    undo: noWayBack,
  })
  .act('delete-templates', {
    do: context =>
      untilNoneIsLeft(context, deleteTemplate.traits.kind, async (tx, origin) => {
        const templates = await templatesOf(tx, context.input.account)
        return Promise.all(
          templates.map(({ id }) =>
            startOnce(tx, context.jobs, deleteTemplate, { template: id }, { ...origin, command: 'deleteTemplate' }),
          ),
        )
      }),
    undo: noWayBack,
  })
  .record('forget', {
    do: async ({ tx, input, job }) => {
      for (const user of await usersOf(tx, input.account)) {
        await forgetUser(tx, user.id)
        await recordEvent(tx, {
          type: 'USER.DELETE',
          description: `deleted user ${user.username}`,
          account: input.account,
          user: job.user_id,
          resourceType: 'User',
          resource: user.id,
          startEvent: job.start_event_id,
        })
      }
      for (const table of goneWithIt) await tx.deleteFrom(table).where('account_id', '=', input.account).execute()
      // Machines of others may be in what it made for all of a domain.
      const first = tx.selectFrom('account').select('id').where('number', '=', 1)
      await tx.updateTable('network').set({ account_id: first }).where('account_id', '=', input.account).execute()
      // Their files go as those of any download that has expired.
      await tx.updateTable('download').set({ expires: new Date() }).where('account_id', '=', input.account).execute()
      const gone = { removed: new Date(), cleanup_needed: false }
      await tx.updateTable('account').set(gone).where('id', '=', input.account).execute()
    },
    undo: noWayBack,
  })

const expunge = 'expungeVirtualMachine'
const destroy = 'destroyVolume'

/** Nothing but rows, which the account alone could use. */
const goneWithIt = [
  'ssh_key_pair',
  'resource_limit',
  'resource_tag',
  'launch_permission',
  'instance_group',
  'affinity_group',
  'public_ip', // in networks that are for a whole domain
] as const

export function accountLock(account: AccountId): string {
  return `account:${account}`
}

const machinesOf = (tx: Tx, account: AccountId) =>
  tx.selectFrom('vm').select('id').where('account_id', '=', account).where('removed', 'is', null).execute()

/** Its own; those for a domain stay. */
const networksOf = (tx: Tx, account: AccountId) =>
  tx.selectFrom('network').select('id').where('account_id', '=', account).where('domain_id', 'is', null).execute()

const snapshotsOf = (tx: Tx, account: AccountId) =>
  tx.selectFrom('snapshot').select('id').where('account_id', '=', account).where('removed', 'is', null).execute()

const templatesOf = (tx: Tx, account: AccountId) =>
  tx.selectFrom('template').select('id').where('account_id', '=', account).where('removed', 'is', null).execute()

const volumesOf = (tx: Tx, account: AccountId) =>
  tx.selectFrom('volume').select('id').where('account_id', '=', account).where('removed', 'is', null).execute()

async function refuseProtected(tx: Tx, account: AccountId): Promise<void> {
  const things = [
    ['vm', 'Virtual machine', 'updateVirtualMachine'],
    ['volume', 'Volume', 'updateVolume'],
  ] as const
  for (const [table, kind, command] of things) {
    const found = await tx
      .selectFrom(table)
      .select('name')
      .where('account_id', '=', account)
      .where('removed', 'is', null)
      .where('delete_protection', '=', true)
      .executeTakeFirst()
    if (found)
      throw new Problem(
        'refused',
        'delete-protected',
        `${kind} ${found.name} of the account is protected from deletion; lift that with ${command} deleteprotection=false`,
      )
  }
}
