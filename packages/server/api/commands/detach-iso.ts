import { detachIso as detachIsoJob } from '../../jobs/change-iso.ts'
import { jobCommand } from '../command.ts'
import { flag, id } from '../parameters.ts'
import { startVmJob, vmOfCall, vmResult } from '../vm-call.ts'

export const detachIso = jobCommand({
  name: 'detachIso',
  description: 'Takes the ISO out of the CD-ROM drive of a machine, running or stopped',
  permission: 'user',
  params: {
    virtualmachineid: id<'vm'>('the machine').must,
    forced: flag('take the CD even from a guest that holds it'),
  },
  result: vmResult,
  async run({ app, caller, params }) {
    const { id: vm } = await vmOfCall(app, caller, params.virtualmachineid, 'virtualmachineid')
    return startVmJob(app, caller, 'detachIso', detachIsoJob, { vm, forced: params.forced ?? false })
  },
})
