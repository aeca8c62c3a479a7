// Brings a machine back to a VM snapshot where the hypervisor keeps its own disks. It is stopped first, as in revert-to-vm-snapshot; to a
// snapshot with memory it goes on from there, on the host that the hypervisor says. A revert that fails runs the machine again on the disks
// that it had (interrupt-vm.ts).
import { powerAfterRevert } from '@ramet/core/vm-snapshot.ts'
import { demandAction, holdVm, setVm, vmLock } from '../store/vms.ts'
import {
  demandNoneAtWork,
  demandSnapshotAction,
  holdVmSnapshot,
  makeCurrent,
  moveVmSnapshot,
} from '../store/vm-snapshots.ts'
import { defineJob, nothing, type RecordContext } from './define-job.ts'
import { forestOf, noteDisks } from './forest-machine.ts'
import { interruption } from './interrupt-vm.ts'
import { demandPower, demandSafety, resize, type RevertToVmSnapshot, sizesOf } from './revert-to-vm-snapshot.ts'
import { noteRunning, takeHost } from './vm-steps.ts'

export const revertVm = defineJob<RevertToVmSnapshot>({
  kind: 'revert-vm',
  event: 'VMSNAPSHOT.REVERTTO',
  doing: 'reverting to VM snapshot',
  instanceType: 'VmSnapshot',
  cancellable: false,
  lock: input => vmLock(input.vm),
  instance: input => input.snapshot,
})
  .record('begin', {
    do: begin,
    undo: async ({ tx, input }) => void (await moveVmSnapshot(tx, input.snapshot, 'OperationFailed')),
  })
  .record('begin-stop', interruption.begin)
  .actWhen('stop', interruption.stop)
  .record('note-stopped', interruption.note)
  .record('take-host', {
    do: async context => void (context.made.begin.isToRun && (await takeHost.do(context))),
    undo: async context => {
      const { state } = await holdVm(context.tx, context.input.vm)
      if (state === 'Starting') await takeHost.undo(context)
    },
  })
  .act('revert', {
    do: async ({ driver, input, made, job, progress, signal }) => {
      const forest = forestOf(driver)
      const node = { kind: 'vm-snapshot', id: input.snapshot, vm: input.vm } as const
      const facts = await forest.revert(node, made.begin.isToRun, job.id, { progress, signal })
      return { facts, disks: (await forest.disks(input.vm)) ?? [] }
    },
    undo: async ({ driver, input, made, signal }) => {
      await driver.machines.stop(input.vm, 0, signal)
      return 'revert' in made
        ? 'The disks are those of the VM snapshot already: the hypervisor keeps no others'
        : undefined
    },
  })
  .record('finish', {
    do: async context => {
      const { tx, input, made } = context
      const { facts, disks } = made.revert
      await noteDisks(tx, input.vm, disks)
      await makeCurrent(tx, input.vm, input.snapshot)
      const isOldSize = made.begin.isToRun || context.settings.text('vmsnapshot.offering.change') === 'restore'
      await resize(
        tx,
        input.vm,
        isOldSize ? sizesOf(await holdVmSnapshot(tx, input.snapshot)) : {},
        made.begin.generation,
      )
      if (made.begin.isToRun) await noteRunning(context, facts)
      if (facts.host) await setVm(tx, input.vm, { host_id: facts.host, last_host_id: facts.host })
      await moveVmSnapshot(tx, input.snapshot, 'OperationSucceeded')
    },
    undo: nothing('nothing follows it'),
  })

interface Begun {
  readonly wasRunning: boolean
  readonly isToRun: boolean
  readonly generation: string
}

async function begin({ tx, input, settings }: RecordContext<RevertToVmSnapshot, object>): Promise<Begun> {
  const vm = await holdVm(tx, input.vm)
  await demandNoneAtWork(tx, vm.id, input.snapshot)
  demandAction(vm, 'revert')
  const snapshot = await holdVmSnapshot(tx, input.snapshot)
  demandSnapshotAction(snapshot, 'revert')
  if (input.safety) await demandSafety(tx, input.safety)
  const after = powerAfterRevert(snapshot.type === 'DiskAndMemory' && !input.diskOnly ? 'DiskAndMemory' : 'Disk')
  demandPower(vm, snapshot, after, settings)
  await moveVmSnapshot(tx, snapshot.id, 'RevertRequested')
  return {
    wasRunning: vm.state === 'Running',
    isToRun: after === 'Running',
    generation: globalThis.crypto.randomUUID(),
  }
}
