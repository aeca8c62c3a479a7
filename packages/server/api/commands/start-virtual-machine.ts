import { startVm } from '../../jobs/start-vm.ts'
import { Problem } from '@ramet/core/problem.ts'
import { isAdmin } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { startVmJob, vmResult } from '../vm-call.ts'

export const startVirtualMachine = jobCommand({
  name: 'startVirtualMachine',
  description: 'Starts a stopped virtual machine',
  permission: 'user',
  params: {
    id: id<'vm'>('the virtual machine').must,
    hostid: id<'host'>('the host to start it on; administrators only'),
  },
  result: vmResult,
  async run({ app, caller, params }) {
    if (params.hostid && !isAdmin(caller))
      throw new Problem('forbidden', 'host-choice', 'Only administrators choose a host; leave hostid out')
    return startVmJob(app, caller, 'startVirtualMachine', startVm, { vm: params.id, host: params.hostid })
  },
})
