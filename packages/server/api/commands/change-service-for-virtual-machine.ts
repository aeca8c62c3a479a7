import { recordEvent } from '../../store/events.ts'
import { setOffering } from '../../store/vm-changes.ts'
import { demandAction, holdVm } from '../../store/vms.ts'
import { objectCommand } from '../command.ts'
import { scaleParameters, scaledTo } from '../scaling.ts'
import { virtualMachineView } from '../views/virtual-machine.ts'
import { shownVm, vmOfCall } from '../vm-call.ts'

export const changeServiceForVirtualMachine = objectCommand({
  name: 'changeServiceForVirtualMachine',
  description: 'Gives a stopped virtual machine another service offering, at once; the same as scaleVirtualMachine',
  permission: 'user',
  params: scaleParameters,
  view: virtualMachineView,
  async run({ app, caller, params }) {
    const found = await vmOfCall(app, caller, params.id)
    const { offering, sizes } = await scaledTo(app, params)
    await app.db.transaction().execute(async tx => {
      const vm = await holdVm(tx, found.id)
      demandAction(vm, 'scale')
      await setOffering(tx, vm, offering, sizes)
      await recordEvent(tx, {
        type: 'VM.UPGRADE',
        description: `changed the service offering of virtual machine ${vm.name}`,
        account: vm.account_id,
        user: caller.user.id,
        resourceType: 'VirtualMachine',
        resource: vm.id,
      })
    })
    return shownVm(app, found.id)
  },
})
