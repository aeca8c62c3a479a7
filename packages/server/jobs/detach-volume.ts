// Detaches a volume from its machine. A running machine's guest is asked to let go of the disk first; what it does not release
// stays attached, and the job says so.
import type { VmId, VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { demandAction, holdVm, vmLock } from '../store/vms.ts'
import { demandNoVmSnapshots } from '../store/vm-snapshots.ts'
import { holdVolumeAsAsked, setVolume, wrongVolumeState } from '../store/volumes.ts'
import { defineJob, nothing } from './define-job.ts'
import { attachDisk, demandLoosable, detachDisk } from './data-disk.ts'

export interface DetachVolume {
  readonly volume: VolumeId
  readonly vm: VmId
}

export const detachVolume = defineJob<DetachVolume>({
  kind: 'detach-volume',
  event: 'VOLUME.DETACH',
  doing: 'detaching volume',
  instanceType: 'Volume',
  cancellable: true,
  lock: input => vmLock(input.vm),
  instance: input => input.volume,
})
  .record('begin', {
    do: async ({ tx, input, driver }) => {
      const vm = await holdVm(tx, input.vm)
      demandAction(vm, 'detach')
      await demandNoVmSnapshots(tx, vm.id, 'detaching a volume')
      const volume = await holdVolumeAsAsked(tx, input)
      if (volume.state !== 'Ready') throw wrongVolumeState(volume, 'detaching it')
      demandLoosable(driver, volume, volume.device_id)
      if (volume.type === 'ROOT' && vm.state !== 'Stopped')
        throw new Problem(
          'refused',
          'root-of-running',
          `Volume ${volume.name} is the root disk of ${vm.name}, which is ${vm.state}; stop the machine first`,
        )
    },
    undo: nothing('it only looks'),
  })
  .act('unplug', {
    do: detachDisk,
    undo: async context => void (await attachDisk(context)),
  })
  .record('publish', {
    do: async ({ tx, input }) => {
      await holdVolumeAsAsked(tx, input)
      await setVolume(tx, input.volume, { vm_id: null, device_id: null, attached: null })
    },
    undo: nothing('nothing follows it'),
  })
