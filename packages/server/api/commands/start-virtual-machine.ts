import { startVm } from '../../jobs/start-vm.ts'
import { jobCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { chosenPlace, placeParameters } from '../place.ts'
import { startVmJob, vmResult } from '../vm-call.ts'

export const startVirtualMachine = jobCommand({
  name: 'startVirtualMachine',
  description: 'Starts a stopped virtual machine',
  permission: 'user',
  params: { id: id<'vm'>('the virtual machine').must, ...placeParameters },
  result: vmResult,
  async run({ app, caller, params }) {
    const where = await chosenPlace(app, caller, params)
    return startVmJob(app, caller, 'startVirtualMachine', startVm, { vm: params.id, ...where })
  },
})
