// Deletes an account with everything it owns: machines, volumes and templates by their own jobs, then keys, users and the
// account itself. From the first step on it is closed and cannot be opened again; what is interrupted, or fails since the
// hypervisor does not answer, is finished by asking again.
import type { AccountId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { demandNotFirst, forgetUser, holdAccount, setAccountState, usersOf } from '../store/accounts.ts'
import type { Tx } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import { setVolume } from '../store/volumes.ts'
import { letGoOfUpload } from './discard-upload.ts'
import { defineJob, nothing, type RecordContext } from './define-job.ts'
import { deleteTemplate } from './delete-template.ts'
import { expungeVm } from './expunge-vm.ts'
import { openJobOf, startOnce, untilNoneIsLeft } from './others.ts'
import { removeIfUnneeded, removeLayer } from './remove-layer.ts'
import { originOf } from './tools.ts'

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
  .record('let-go-of-volumes', { do: letGoOfVolumes, undo: noWayBack })
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
    do: async context => {
      const { tx, input } = context
      for (const user of await usersOf(tx, input.account)) {
        await forgetUser(tx, user.id)
        await tell(context, 'USER.DELETE', `deleted user ${user.username}`, 'User', user.id)
      }
      for (const table of goneWithIt) await tx.deleteFrom(table).where('account_id', '=', input.account).execute()
      // Their files go as those of any download that has expired.
      await tx.updateTable('download').set({ expires: new Date() }).where('account_id', '=', input.account).execute()
      const gone = { removed: new Date(), cleanup_needed: false }
      await tx.updateTable('account').set(gone).where('id', '=', input.account).execute()
    },
    undo: noWayBack,
  })

const expunge = 'expungeVirtualMachine'

/** Nothing but rows, which the account alone could use. */
const goneWithIt = [
  'ssh_key_pair',
  'resource_limit',
  'resource_tag',
  'launch_permission',
  'instance_group',
  'affinity_group',
] as const

export function accountLock(account: AccountId): string {
  return `account:${account}`
}

const machinesOf = (tx: Tx, account: AccountId) =>
  tx.selectFrom('vm').select('id').where('account_id', '=', account).where('removed', 'is', null).execute()

const templatesOf = (tx: Tx, account: AccountId) =>
  tx.selectFrom('template').select('id').where('account_id', '=', account).where('removed', 'is', null).execute()

async function refuseProtected(tx: Tx, account: AccountId): Promise<void> {
  const vm = await tx
    .selectFrom('vm')
    .select('name')
    .where('account_id', '=', account)
    .where('removed', 'is', null)
    .where('delete_protection', '=', true)
    .executeTakeFirst()
  if (vm)
    throw new Problem(
      'refused',
      'delete-protected',
      `Virtual machine ${vm.name} of the account is protected from deletion; lift that with updateVirtualMachine deleteprotection=false`,
    )
}

/** Its machines are gone, and with them their root disks; data disks are left. */
async function letGoOfVolumes(context: RecordContext<DeleteAccount, object>): Promise<void> {
  const { tx, input, jobs, job } = context
  const volumes = await tx
    .selectFrom('volume')
    .selectAll()
    .where('account_id', '=', input.account)
    .where('removed', 'is', null)
    .forUpdate()
    .execute()
  for (const volume of volumes) {
    const { id, name, layer_id } = volume
    await letGoOfUpload(tx, volume, jobs, originOf(job))
    await setVolume(tx, id, { state: 'Expunged', removed: new Date(), layer_id: null })
    await tell(context, 'VOLUME.DELETE', `deleted volume ${name}`, 'Volume', id)
    if (layer_id) await removeIfUnneeded(tx, layer_id, jobs, originOf(job))
  }
}

async function tell(
  { tx, input, job }: RecordContext<DeleteAccount, object>,
  type: string,
  description: string,
  resourceType: string,
  resource: string,
): Promise<void> {
  await recordEvent(tx, {
    type,
    description,
    account: input.account,
    user: job.user_id,
    resourceType,
    resource,
    startEvent: job.start_event_id,
  })
}
