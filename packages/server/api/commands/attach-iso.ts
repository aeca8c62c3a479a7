import { attachIso as attachIsoJob } from '../../jobs/change-iso.ts'
import { jobCommand } from '../command.ts'
import { chosenImage } from '../deployment.ts'
import { flag, id, invalid } from '../parameters.ts'
import { kindOfImage } from '../template-call.ts'
import { startVmJob, vmOfCall, vmResult } from '../vm-call.ts'

export const attachIso = jobCommand({
  name: 'attachIso',
  description: 'Puts an ISO into the CD-ROM drive of a machine, running or stopped, in place of what is there',
  permission: 'user',
  params: {
    id: id<'template'>('the ISO').must,
    virtualmachineid: id<'vm'>('the machine').must,
    forced: flag('take the present CD even from a guest that holds it'),
  },
  result: vmResult,
  async run({ app, caller, params }) {
    const iso = await chosenImage(app, caller, params.id, 'id')
    if (kindOfImage(iso) !== 'iso') throw invalid('id', `names ${iso.name}, which is a template and no ISO`)
    const vm = await vmOfCall(app, caller, params.virtualmachineid, 'virtualmachineid')
    if (vm.zone_id !== iso.zone_id) throw invalid('id', `names ${iso.name}, which is in another zone than ${vm.name}`)
    const input = { vm: vm.id, iso: iso.id, forced: params.forced ?? false }
    return startVmJob(app, caller, 'attachIso', attachIsoJob, input)
  },
})
