// Destroys a machine: it is stopped and set aside, its root volume with it. Until it is expunged nothing is lost.
import type { VmId, VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Tx } from '../store/database.ts'
import { demandAction, holdVm, moveVm, vmLock } from '../store/vms.ts'
import { demandRootUnprotected, moveVolume, setVolume, volumesOf } from '../store/volumes.ts'
import { demandNoDeployments } from '../store/vm-snapshot-seeds.ts'
import { demandNoVmSnapshots, vmSnapshotsOf } from '../store/vm-snapshots.ts'
import { attachDisk, detachDisk } from './data-disk.ts'
import { defineJob, nothing, type StepContext } from './define-job.ts'
import { deleteVmSnapshot } from './delete-vm-snapshot.ts'
import { giveUpFrozen } from './drop-fork.ts'
import { expungeVm } from './expunge-vm.ts'
import { originOf } from './tools.ts'
import { beginStop, noteStopped, stopMachine } from './vm-steps.ts'

export interface DestroyVm {
  readonly vm: VmId
  readonly forced: boolean
  /** Data disks that are set aside with the machine; the others stay with the account. */
  readonly volumes?: readonly VolumeId[]
}

export const destroyVm = defineJob<DestroyVm>({
  kind: 'destroy-vm',
  event: 'VM.DESTROY',
  doing: 'destroying virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: false,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
})
  .record('begin-stop', {
    do: async context => {
      const vm = await holdVm(context.tx, context.input.vm)
      demandAction(vm, 'destroy')
      if (vm.delete_protection)
        throw new Problem(
          'refused',
          'delete-protected',
          `Virtual machine ${vm.name} is protected from deletion; lift that with updateVirtualMachine deleteprotection=false`,
        )
      await demandRootUnprotected(context.tx, vm.id)
      await demandNoDeployments(context.tx, vm.id)
      if (context.driver.capabilities.disks === 'machines' && (await dataVolumesOf(context.tx, vm.id)).length > 0)
        await demandNoVmSnapshots(context.tx, vm.id, 'setting its data volumes aside')
      if (vm.state === 'Running') await beginStop.do(context)
    },
    undo: beginStop.undo,
  })
  .act('stop', stopMachine)
  .record('note-stopped', {
    do: async context => {
      const { tx, input, driver } = context
      const vm = await holdVm(tx, input.vm)
      if (vm.state === 'Stopping') await noteStopped.do(context)
      return { unplugged: driver.capabilities.disks === 'machines' ? await dataVolumesOf(tx, vm.id) : [] }
    },
    undo: noteStopped.undo,
  })
  // Where the hypervisor keeps the disks it would remove them with the machine.
  .actWhen('unplug-data', {
    when: made => made['note-stopped'].unplugged.length > 0,
    do: async context => {
      for (const volume of context.made['note-stopped'].unplugged) await detachDisk(ofVolume(context, volume))
    },
    undo: async context => {
      for (const volume of context.made['note-stopped'].unplugged) await attachDisk(ofVolume(context, volume))
    },
  })
  .record('set-aside', {
    do: async context => {
      const { tx, input, jobs, job, settings } = context
      const { destroyed } = await holdVm(tx, input.vm)
      const vm = await moveVm(tx, input.vm, 'DestroyRequested', { destroyed: destroyed ?? new Date() })
      // A machine in Error holds nothing worth keeping: it goes at once, as upstream's state machine says.
      if (vm.state === 'Expunging') await jobs.start(tx, expungeVm, { vm: vm.id, evenRunning: true }, originOf(job))
      else {
        await setVolumesAside(tx, input)
        const origin = { ...originOf(job), command: 'deleteVMSnapshot' }
        const going = settings.flag('vmsnapshot.keep.until.expunge') ? [] : await vmSnapshotsOf(tx, vm.id)
        for (const { id } of going)
          await jobs.start(tx, deleteVmSnapshot, { vm: vm.id, snapshot: id, ifThere: true }, origin)
      }
      await giveUpFrozen(context, input.vm)
    },
    undo: nothing('nothing follows it'),
  })

async function dataVolumesOf(tx: Tx, vm: VmId): Promise<VolumeId[]> {
  return (await volumesOf(tx, vm)).filter(({ id, disk_key }) => disk_key === id).map(({ id }) => id)
}

function ofVolume({ db, driver, signal, input }: StepContext<DestroyVm, object>, volume: VolumeId) {
  return { db, driver, signal, input: { vm: input.vm, volume } }
}

async function setVolumesAside(tx: Tx, { vm, volumes = [] }: DestroyVm): Promise<void> {
  for (const volume of await volumesOf(tx, vm)) {
    if (volume.type === 'ROOT')
      await setVolume(tx, volume.id, { state: 'Destroy', destroyed: volume.destroyed ?? new Date() })
    else if (volume.layer_id || volume.disk_key === volume.id)
      await setVolume(tx, volume.id, { vm_id: null, device_id: null, attached: null })
    if (volumes.includes(volume.id)) await moveVolume(tx, volume.id, 'DestroyRequested', { destroyed: new Date() })
  }
}
