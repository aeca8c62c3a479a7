import { labelRefusal } from '@ramet/core/names.ts'
import type { Updateable } from 'kysely'
import type { Tx } from '../../store/database.ts'
import { recordEvent } from '../../store/events.ts'
import { groupNamed } from '../../store/instance-groups.ts'
import type { Tables } from '../../store/tables.ts'
import { demandAction, holdVm, setVm, type Vm } from '../../store/vms.ts'
import { type Caller, unknownId } from '../caller.ts'
import { objectCommand } from '../command.ts'
import { demandFreeName } from '../deployment.ts'
import { keptDetails } from '../details.ts'
import { flag, id, invalid, map, text, type Values } from '../parameters.ts'
import { demandUserData, userData } from '../user-data.ts'
import { virtualMachineView } from '../views/virtual-machine.ts'
import { shownVm, vmOfCall } from '../vm-call.ts'

const params = {
  id: id<'vm'>('the virtual machine').must,
  displayname: text('label for people'),
  name: text('host name', 63),
  userdata: userData('base64 of cloud-init user data; empty removes it'),
  deleteprotection: flag('refuse to destroy it'),
  group: text('name of an instance group, made on demand; empty: none'),
  haenable: flag('kept and shown; machines are not restarted elsewhere yet'),
  ostypeid: id<'os-type'>('the guest operating system'),
  details: map('replaces all details of the machine'),
  cleanupdetails: flag('removes all details of the machine'),
}

export const updateVirtualMachine = objectCommand({
  name: 'updateVirtualMachine',
  description:
    'Changes what is written of a virtual machine: label, host name, user data, protection, group, details; host name and user data apply at its next start',
  permission: 'user',
  params,
  view: virtualMachineView,
  async run({ app, caller, params: asked }) {
    const found = await vmOfCall(app, caller, asked.id)
    const label = asked.displayname !== undefined ? labelRefusal(asked.displayname) : null
    if (label) throw invalid('displayname', label)
    const user_data = asked.userdata === undefined ? undefined : demandUserData(app, asked.userdata)
    await app.db.transaction().execute(async tx => {
      const vm = await holdVm(tx, found.id)
      demandAction(vm, 'update')
      await demandName(tx, vm, asked.name)
      await setVm(tx, vm.id, {
        ...(await changes(tx, caller, vm, asked)),
        ...(user_data !== undefined && { user_data }),
      })
      await recordEvent(tx, {
        type: 'VM.UPDATE',
        description: `updated virtual machine ${vm.name}`,
        account: vm.account_id,
        user: caller.user.id,
        resourceType: 'VirtualMachine',
        resource: vm.id,
      })
    })
    return shownVm(app, found.id)
  },
})

async function demandName(tx: Tx, vm: Vm, name: string | undefined): Promise<void> {
  if (!name || name.toLowerCase() === vm.name.toLowerCase()) return
  const owner = await tx.selectFrom('account').selectAll().where('id', '=', vm.account_id).executeTakeFirstOrThrow()
  await demandFreeName(tx, owner, name)
}

/** Only what the call names; everything else stays. */
async function changes(
  tx: Tx,
  caller: Caller,
  vm: Vm,
  asked: Values<typeof params>,
): Promise<Updateable<Tables['vm']>> {
  const { displayname, name, deleteprotection, group, haenable, ostypeid, details, cleanupdetails } = asked
  if (ostypeid) await demandOsType(tx, ostypeid)
  return {
    ...(displayname !== undefined && { display_name: displayname }),
    ...(name && { name }),
    ...(deleteprotection !== undefined && { delete_protection: deleteprotection }),
    ...(haenable !== undefined && { ha_enabled: haenable }),
    ...(ostypeid && { os_type_id: ostypeid }),
    ...(group !== undefined && {
      group_id: group === '' ? null : await groupNamed(tx, vm.account_id, group, caller.user.id),
    }),
    ...(details.size > 0 && { details: JSON.stringify(keptDetails(details)) }),
    ...(cleanupdetails && { details: '{}' }),
  }
}

async function demandOsType(tx: Tx, ostypeid: NonNullable<Vm['os_type_id']>): Promise<void> {
  const row = await tx.selectFrom('os_type').select('id').where('id', '=', ostypeid).executeTakeFirst()
  if (!row) throw unknownId('ostypeid', ostypeid)
}
