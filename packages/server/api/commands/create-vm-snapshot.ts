import { newId } from '@ramet/core/ids.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { flag, id, text } from '../parameters.ts'
import { vmOfCall } from '../vm-call.ts'
import { insertVmSnapshot, snapshotJobOn, vmSnapshotResult } from '../vm-snapshot-call.ts'

export const createVMSnapshot = jobCommand({
  name: 'createVMSnapshot',
  description: 'Takes a VM snapshot: all disks of a machine at one instant, and its memory with snapshotmemory=true',
  permission: 'user',
  params: {
    virtualmachineid: id<'vm'>('the virtual machine').must,
    name: text('its name, which no other of the machine has; made of the time when absent'),
    description: text('what it is for'),
    snapshotmemory: flag('save the memory too; a revert then continues the running machine'),
    quiescevm: flag("ask the guest's agent to bring the file systems to rest for the moment"),
  },
  result: vmSnapshotResult,
  async run({ app, caller, params }) {
    const vm = await vmOfCall(app, caller, params.virtualmachineid, 'virtualmachineid')
    const snapshot = newId<'vm-snapshot'>()
    const withMemory = params.snapshotmemory ?? false
    return app.db.transaction().execute(async tx => {
      await insertVmSnapshot(app, tx, {
        id: snapshot,
        vm: vm.id,
        displayName: params.name,
        description: params.description || null,
        withMemory,
      })
      const input = { vm: vm.id, snapshot, withMemory, quiesce: params.quiescevm ?? false }
      const origin = originOfCall(caller, 'createVMSnapshot')
      return { id: snapshot, jobid: await app.jobs.start(tx, snapshotJobOn(app, vm), input, origin) }
    })
  },
})
