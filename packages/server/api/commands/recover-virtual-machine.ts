import { Problem } from '@ramet/core/problem.ts'
import { recordEvent } from '../../store/events.ts'
import { jobOn } from '../../store/jobs.ts'
import { holdRoom } from '../../store/limits.ts'
import { holdName, nameTaken } from '../../store/new-vm.ts'
import { demandAction, holdVm, moveVm, vmLock } from '../../store/vms.ts'
import { setVolume, volumesOf } from '../../store/volumes.ts'
import { objectCommand } from '../command.ts'
import { demandMayExpunge } from '../expunging.ts'
import { id } from '../parameters.ts'
import { virtualMachineView } from '../views/virtual-machine.ts'
import { shownVm, vmOfCall } from '../vm-call.ts'

export const recoverVirtualMachine = objectCommand({
  name: 'recoverVirtualMachine',
  description: 'Brings a destroyed virtual machine back, as a stopped one; data disks that it had are attached by hand',
  permission: 'user',
  params: { id: id<'vm'>('the virtual machine').must },
  view: virtualMachineView,
  async run({ app, caller, params }) {
    const found = await vmOfCall(app, caller, params.id)
    demandMayExpunge(app, caller, 'recover a machine')
    await app.db.transaction().execute(async tx => {
      await holdName(tx, found.account_id, found.name)
      const vm = await holdVm(tx, found.id)
      demandAction(vm, 'recover')
      if (await jobOn(tx, vmLock(vm.id)))
        throw new Problem('refused', 'vm-busy', `A job is at work on virtual machine ${vm.name}; wait for its end`)
      if (await nameTaken(tx, vm.account_id, vm.name, vm.id))
        throw new Problem(
          'refused',
          'vm-name-taken',
          `Another machine of the account is named ${vm.name} by now; rename that by updateVirtualMachine, or destroy it, and recover this one then`,
        )
      const volumes = (await volumesOf(tx, vm.id)).filter(({ state }) => state === 'Destroy')
      await holdRoom(tx, vm.account_id, {
        vm: 1,
        cpu: vm.cpus,
        memory: vm.memory_mib,
        volume: volumes.length,
        primaryBytes: volumes.reduce((sum, { size_bytes }) => sum + size_bytes, 0),
      })
      await moveVm(tx, vm.id, 'RecoveryRequested', { destroyed: null })
      for (const volume of volumes) await setVolume(tx, volume.id, { state: 'Ready', destroyed: null })
      await recordEvent(tx, {
        type: 'VM.RECOVER',
        description: `recovered virtual machine ${vm.name}`,
        account: vm.account_id,
        user: caller.user.id,
        resourceType: 'VirtualMachine',
        resource: vm.id,
      })
    })
    return shownVm(app, found.id)
  },
})
