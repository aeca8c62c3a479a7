// Restarts a machine: stopped as by stop-vm, then started as by start-vm, so that it comes back with a fresh process.
import type { VmId } from '@ramet/core/ids.ts'
import { holdVm, demandAction, vmLock } from '../store/vms.ts'
import { defineJob, nothing } from './define-job.ts'
import { beginStop, noteRunning, noteStopped, runMachine, stopMachine, takeHost } from './vm-steps.ts'

export interface RebootVm {
  readonly vm: VmId
  readonly forced: boolean
}

export const rebootVm = defineJob<RebootVm>({
  kind: 'reboot-vm',
  event: 'VM.REBOOT',
  doing: 'rebooting virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: false,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
})
  .record('accept', {
    do: async ({ tx, input }) => demandAction(await holdVm(tx, input.vm), 'reboot'),
    undo: nothing('it only looks'),
  })
  .record('begin-stop', beginStop)
  .act('stop', stopMachine)
  .record('note-stopped', noteStopped)
  .record('take-host', takeHost)
  .act('run', runMachine)
  .record('note-running', {
    do: context => noteRunning(context, context.made.run),
    undo: nothing('nothing follows it'),
  })
