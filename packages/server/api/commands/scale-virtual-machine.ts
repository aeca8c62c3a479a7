import { changeVm } from '../../jobs/change-vm.ts'
import { demandAction } from '../../store/vms.ts'
import { jobCommand } from '../command.ts'
import { scaleParameters, scaledTo } from '../scaling.ts'
import { startVmJob, vmOfCall, vmResult } from '../vm-call.ts'

export const scaleVirtualMachine = jobCommand({
  name: 'scaleVirtualMachine',
  description: 'Gives a stopped virtual machine another service offering, or other sizes of a custom one',
  permission: 'user',
  params: scaleParameters,
  result: vmResult,
  async run({ app, caller, params }) {
    const vm = await vmOfCall(app, caller, params.id)
    demandAction(vm, 'scale')
    const change = { to: 'offering', ...(await scaledTo(app, params)) } as const
    return startVmJob(app, caller, 'scaleVirtualMachine', changeVm, { vm: vm.id, change })
  },
})
