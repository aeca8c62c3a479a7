import { unfreezeVm } from '../../jobs/unfreeze-vm.ts'
import { Problem } from '@ramet/core/problem.ts'
import { demandNoClones, forkOfFrozen } from '../../store/forks.ts'
import { demandAction } from '../../store/vms.ts'
import { jobCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { startVmJob, vmOfCall, vmResult } from '../vm-call.ts'

function goesOnByStart(name: string): Problem {
  return new Problem(
    'unsupported',
    'frozen-inside-guest',
    `On vSphere a machine that was frozen from inside its guest is not thawed in place: stop ${name} (stopVirtualMachine forced=true) and start it again`,
  )
}

export const unfreezeVirtualMachine = jobCommand({
  name: 'unfreezeVirtualMachine',
  description: 'Lets a frozen machine that has no clones go on from the instant at which it stood still',
  permission: 'user',
  params: { id: id<'vm'>('the virtual machine, frozen').must },
  result: vmResult,
  async run({ app, caller, params }) {
    const vm = await vmOfCall(app, caller, params.id)
    if (app.capabilitiesOf(vm.cluster_id).disks === 'machines') throw goesOnByStart(vm.name)
    demandAction(vm, 'unfreeze')
    await app.db.transaction().execute(async tx => {
      const fork = await forkOfFrozen(tx, vm.id)
      if (fork) await demandNoClones(tx, fork, vm.name)
    })
    return startVmJob(app, caller, 'unfreezeVirtualMachine', unfreezeVm, { vm: vm.id })
  },
})
