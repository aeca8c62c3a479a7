import { labelRefusal } from '@ramet/core/names.ts'
import { recordEvent } from '../../store/events.ts'
import { demandAction, holdVm, setVm } from '../../store/vms.ts'
import { listedVm } from '../../store/vm-list.ts'
import { objectCommand } from '../command.ts'
import { demandFreeName, demandUserData } from '../deployment.ts'
import { flag, id, invalid, longText, text } from '../parameters.ts'
import { virtualMachineView, type VmOnWire } from '../views/virtual-machine.ts'
import { vmOfCall } from '../vm-call.ts'

export const updateVirtualMachine = objectCommand({
  name: 'updateVirtualMachine',
  description:
    'Changes label, host name, user data or protection of a virtual machine; host name and user data apply at its next start',
  permission: 'user',
  params: {
    id: id<'vm'>('the virtual machine').must,
    displayname: text('label for people'),
    name: text('host name', 63),
    userdata: longText('base64 of cloud-init user data; empty removes it', 44 * 1024),
    deleteprotection: flag('refuse to destroy it'),
  },
  view: virtualMachineView,
  async run({ app, caller, params }): Promise<VmOnWire> {
    const found = await vmOfCall(app, caller, params.id)
    const label = params.displayname !== undefined ? labelRefusal(params.displayname) : null
    if (label) throw invalid('displayname', label)
    await app.db.transaction().execute(async tx => {
      const vm = await holdVm(tx, found.id)
      demandAction(vm, 'update')
      const owner = await tx.selectFrom('account').selectAll().where('id', '=', vm.account_id).executeTakeFirstOrThrow()
      if (params.name && params.name.toLowerCase() !== vm.name.toLowerCase())
        await demandFreeName(tx, owner, params.name)
      await setVm(tx, vm.id, {
        ...(params.displayname !== undefined && { display_name: params.displayname }),
        ...(params.name && { name: params.name }),
        ...(params.userdata !== undefined && { user_data: demandUserData(params.userdata) }),
        ...(params.deleteprotection !== undefined && { delete_protection: params.deleteprotection }),
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
    return (await listedVm(app.db, found.id)) as VmOnWire
  },
})
