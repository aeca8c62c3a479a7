import type { HostId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { migrateVm } from '../../jobs/migrate-vm.ts'
import { selectHosts, reachedBy } from '../../store/host-list.ts'
import { demandAction, type Vm } from '../../store/vms.ts'
import type { App } from '../../app.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { hostOfCall } from '../host-call.ts'
import { flag, id, invalid } from '../parameters.ts'
import { vmOfCall, vmResult } from '../vm-call.ts'

export const migrateVirtualMachine = jobCommand({
  name: 'migrateVirtualMachine',
  description: 'Moves a running virtual machine to another host of its cluster, without stopping it',
  permission: 'admin',
  params: {
    virtualmachineid: id<'vm'>('the virtual machine').must,
    hostid: id<'host'>('where to'),
    autoselect: flag('true: to the host with the most room'),
    storageid: id<'storage-pool'>('not here: disks move with migrateVolume, while the machine is stopped'),
  },
  result: vmResult,
  async run({ app, caller, params }) {
    const vm = await vmOfCall(app, caller, params.virtualmachineid, 'virtualmachineid')
    if (params.storageid)
      throw invalid('storageid', 'is not for running machines; stop it and move its disks with migrateVolume')
    if (!app.capabilitiesOf(vm.cluster_id).migrate) throw cannotMigrate(app, vm)
    if (!params.hostid && !params.autoselect) throw invalid('hostid', 'is missing; give it, or autoselect=true')
    demandAction(vm, 'migrate')
    if (params.hostid) await demandReach(app, vm, params.hostid)
    const input = { vm: vm.id, host: params.hostid ?? null }
    return { jobid: await app.jobs.start(app.db, migrateVm, input, originOfCall(caller, 'migrateVirtualMachine')) }
  },
})

function cannotMigrate(app: App, vm: Vm): Problem {
  return new Problem(
    'refused',
    'cannot-migrate',
    `Virtual machine ${vm.name} cannot migrate: ${app.hypervisor} runs machines on one host here, so there is none to move it to`,
  )
}

async function demandReach(app: App, vm: Vm, hostid: HostId): Promise<void> {
  const host = await hostOfCall(app, hostid, 'hostid')
  if (host.id === vm.host_id) throw invalid('hostid', `names ${host.name}, where ${vm.name} runs already`)
  if (host.state !== 'Up' || host.resource_state !== 'Enabled')
    throw invalid(
      'hostid',
      `names ${host.name}, which is ${host.state} and ${host.resource_state}; it must be Up and Enabled`,
    )
  const reached = await selectHosts(app.db).where('host.id', '=', hostid).where(reachedBy(vm)).executeTakeFirst()
  if (!reached)
    throw invalid('hostid', `names ${host.name}, which does not reach the storage with the disks of ${vm.name}`)
}
