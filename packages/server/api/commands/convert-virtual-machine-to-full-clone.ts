import { convertVm, planOfConversion } from '../../jobs/convert-vm.ts'
import { demandAction } from '../../store/vms.ts'
import { jobCommand } from '../command.ts'
import { planOnWire } from '../flattening-plan.ts'
import { flag, id } from '../parameters.ts'
import { startVmJob, vmOfCall, vmResult } from '../vm-call.ts'

export const convertVirtualMachineToFullClone = jobCommand({
  name: 'convertVirtualMachineToFullClone',
  description:
    'Makes a full clone of a linked one, in place, also while it runs: machine, volumes and VM snapshots stay, and no disk stands on a template any more. It can be cancelled (cancelJob)',
  permission: 'user',
  params: {
    virtualmachineid: id<'vm'>('the virtual machine').must,
    dryrun: flag('answer the plan at once: layers and bytes to copy; and do nothing'),
  },
  result: vmResult,
  async run({ app, caller, params }) {
    const vm = await vmOfCall(app, caller, params.virtualmachineid, 'virtualmachineid')
    demandAction(vm, 'conversion')
    const plan = await planOfConversion(app.db, vm)
    if (params.dryrun) return { plan: planOnWire(vm, plan) }
    return startVmJob(app, caller, 'convertVirtualMachineToFullClone', convertVm, { vm: vm.id })
  },
})
