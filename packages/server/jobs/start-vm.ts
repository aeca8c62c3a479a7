// Starts a stopped machine: room on a host, its process, its state.
import type { VmId } from '@ramet/core/ids.ts'
import { vmLock } from '../store/vms.ts'
import { defineJob, nothing } from './define-job.ts'
import { noteRunning, runMachine, takeHost, type Where } from './vm-steps.ts'

export interface StartVm extends Where {
  readonly vm: VmId
}

export const startVm = defineJob<StartVm>({
  kind: 'start-vm',
  event: 'VM.START',
  doing: 'starting virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: true,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
})
  .record('take-host', takeHost)
  .act('run', runMachine)
  .record('note-running', {
    do: context => noteRunning(context, context.made.run),
    undo: nothing('nothing follows it'),
  })
