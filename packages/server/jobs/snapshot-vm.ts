// Takes a VM snapshot where the hypervisor keeps its own disks: it makes the snapshot, and the record follows. When it fails the machine
// runs on, and the VM snapshot stays as one in Error that tells why and can be deleted, as in create-vm-snapshot.
import { demandAction, holdVm, vmLock } from '../store/vms.ts'
import { currentOf, demandNoneAtWork, holdVmSnapshot, makeCurrent, moveVmSnapshot } from '../store/vm-snapshots.ts'
import { demandRunningForMemory, type CreateVmSnapshot } from './create-vm-snapshot.ts'
import { defineJob, nothing } from './define-job.ts'
import { forestOf, noteDisks } from './forest-machine.ts'

export const snapshotVm = defineJob<CreateVmSnapshot>({
  kind: 'snapshot-vm',
  event: 'VMSNAPSHOT.CREATE',
  doing: 'taking VM snapshot',
  instanceType: 'VmSnapshot',
  cancellable: true,
  lock: input => vmLock(input.vm),
  instance: input => input.snapshot,
})
  .record('reserve', {
    do: async ({ tx, input }) => {
      const vm = await holdVm(tx, input.vm)
      demandAction(vm, 'snapshot')
      if (input.withMemory) demandRunningForMemory(vm)
      await demandNoneAtWork(tx, vm.id, input.snapshot)
      const { display_name: name } = await moveVmSnapshot(tx, input.snapshot, 'CreateRequested', {
        parent_id: await currentOf(tx, vm.id),
      })
      return { name }
    },
    undo: nothing('the VM snapshot stays, in Error, and tells why'),
  })
  .act('fork', {
    do: async ({ driver, input, made, progress, signal }) => {
      const wish = { name: made.reserve.name, memory: input.withMemory, quiesce: input.quiesce }
      const node = { kind: 'vm-snapshot', id: input.snapshot, vm: input.vm } as const
      const forest = forestOf(driver)
      const { quiesced } = await forest.fork(node, wish, { progress, signal })
      return { quiesced, disks: (await forest.disks(input.vm)) ?? [] }
    },
    undo: ({ driver, input, progress, signal }) =>
      forestOf(driver).prune({ kind: 'vm-snapshot', id: input.snapshot, vm: input.vm }, { progress, signal }),
  })
  .record('publish', {
    do: async ({ tx, input, made }) => {
      await noteDisks(tx, input.vm, made.fork.disks)
      await makeCurrent(tx, input.vm, input.snapshot)
      await moveVmSnapshot(tx, input.snapshot, 'OperationSucceeded', { quiesce: made.fork.quiesced })
      return made.fork.quiesced ? `quiesce: ${made.fork.quiesced}` : ''
    },
    undo: nothing('nothing follows it'),
  })
  .returning(made => ({ outcome: made.publish }))
  .whenItFails(async ({ tx, input, problem }) => {
    const { state } = await holdVmSnapshot(tx, input.snapshot)
    if (state !== 'Error')
      await moveVmSnapshot(tx, input.snapshot, 'OperationFailed', { error: problem?.message ?? null })
  })
