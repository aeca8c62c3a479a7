import { changeVm } from '../../jobs/change-vm.ts'
import { demandAction } from '../../store/vms.ts'
import { affinityParameters, chosenAffinityGroups } from '../affinity-groups.ts'
import { jobCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { startVmJob, vmOfCall, vmResult } from '../vm-call.ts'

export const updateVMAffinityGroup = jobCommand({
  name: 'updateVMAffinityGroup',
  description: 'Puts a stopped machine into exactly these affinity groups; they count from its next start',
  permission: 'user',
  envelope: 'updatevirtualmachineresponse',
  params: {
    id: id<'vm'>('the virtual machine').must,
    ...affinityParameters,
  },
  result: vmResult,
  async run({ app, caller, params }) {
    const vm = await vmOfCall(app, caller, params.id)
    demandAction(vm, 'regroup')
    const groups = await chosenAffinityGroups(app, vm.account_id, params)
    return startVmJob(app, caller, 'updateVMAffinityGroup', changeVm, {
      vm: vm.id,
      change: { to: 'affinities', groups },
    })
  },
})
