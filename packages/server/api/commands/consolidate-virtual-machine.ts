import { consolidateVm, planOfConsolidation } from '../../jobs/consolidate-vm.ts'
import { demandAction } from '../../store/vms.ts'
import { jobCommand } from '../command.ts'
import { planOnWire } from '../flattening-plan.ts'
import { flag, id } from '../parameters.ts'
import { startVmJob, vmOfCall, vmResult } from '../vm-call.ts'

export const consolidateVirtualMachine = jobCommand({
  name: 'consolidateVirtualMachine',
  description:
    'Takes layers that nothing names out of the chains of a machine’s disks, also while it runs; what others still read stays for them. Layers that VM snapshots name cannot be consolidated. It can be cancelled (cancelJob)',
  permission: 'user',
  params: {
    virtualmachineid: id<'vm'>('the virtual machine').must,
    dryrun: flag(
      'answer the plan at once: layers and bytes to copy, and how many layers which VM snapshots name; and do nothing',
    ),
  },
  result: vmResult,
  async run({ app, caller, params }) {
    const vm = await vmOfCall(app, caller, params.virtualmachineid, 'virtualmachineid')
    demandAction(vm, 'consolidation')
    const { plan, kept, snapshots } = await planOfConsolidation(app.db, vm.id, true)
    if (params.dryrun) return { plan: { ...planOnWire(vm, plan), keptbyvmsnapshots: kept, vmsnapshots: snapshots } }
    return startVmJob(app, caller, 'consolidateVirtualMachine', consolidateVm, { vm: vm.id, evenShared: true })
  },
})
