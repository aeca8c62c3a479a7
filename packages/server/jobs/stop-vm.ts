// Stops a machine: the guest is asked to shut down, and after a time, or at once when forced, its power is cut.
import type { VmId } from '@ramet/core/ids.ts'
import { vmLock } from '../store/vms.ts'
import { defineJob } from './define-job.ts'
import { beginStop, noteStopped, stopMachine } from './vm-steps.ts'

export interface StopVm {
  readonly vm: VmId
  readonly forced: boolean
}

export const stopVm = defineJob<StopVm>({
  kind: 'stop-vm',
  event: 'VM.STOP',
  doing: 'stopping virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: false,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
})
  .record('begin-stop', beginStop)
  .act('stop', stopMachine)
  .record('note-stopped', noteStopped)
