// Removes a machine for good: its process, its files, its root volume's layer, its record. Data volumes stay with the
// account. There is no way back from the first step on; what is interrupted is done again by asking again.
import type { LayerId, MemoryImageId, VmId, VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Tx } from '../store/database.ts'
import { demandNoneStandsOn, standOnNothing } from '../store/clone-sources.ts'
import { recordEvent } from '../store/events.ts'
import { layerRefIfAny, markRemoving } from '../store/layers.ts'
import { forgetMemory, markMemoryRemoving, memoryRefIfAny } from '../store/memory-images.ts'
import { revokeRules } from '../store/port-forwarding.ts'
import { takeOutOfTree, setVmSnapshot, vmSnapshotsOf } from '../store/vm-snapshots.ts'
import { demandNoDeployments, retireSeeds } from '../store/vm-snapshot-seeds.ts'
import { demandAction, holdVm, moveVm, setVm, vmLock } from '../store/vms.ts'
import { demandRootUnprotected, moveVolume, retireVolume, setVolume, volumesOf } from '../store/volumes.ts'
import { expungeVolume } from './destroy-volume.ts'
import { defineJob, nothing } from './define-job.ts'
import { giveUpFrozen } from './drop-fork.ts'
import { leaveSeeds } from './kept-seeds.ts'
import { forgetLayerAndAncestors, removeIfUnneeded } from './remove-layer.ts'
import { settlePorts } from './settle-port.ts'
import { originOf } from './tools.ts'

export interface ExpungeVm {
  readonly vm: VmId
  /** The call said "destroy": then a running machine goes too. */
  readonly evenRunning: boolean
  /** Asked for because its time had come: a machine that was recovered meanwhile stays. */
  readonly onlyDestroyed?: boolean
  /** Data disks that are removed with the machine; the others stay with the account. */
  readonly volumes?: readonly VolumeId[]
}

const noWayBack = nothing('the machine is to go; asking again finishes it')

export const expungeVm = defineJob<ExpungeVm>({
  kind: 'expunge-vm',
  event: 'VM.EXPUNGE',
  doing: 'expunging virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: false,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
})
  .record('begin', {
    do: async ({ tx, input }) => {
      const vm = await holdVm(tx, input.vm)
      if (vm.delete_protection)
        throw new Problem(
          'refused',
          'delete-protected',
          `Virtual machine ${vm.name} is protected from deletion; lift that with updateVirtualMachine deleteprotection=false`,
        )
      if (vm.state !== 'Expunging') await demandRootUnprotected(tx, vm.id)
      if (input.onlyDestroyed && vm.state === 'Stopped')
        throw new Problem('refused', 'vm-recovered', `Virtual machine ${vm.name} was recovered in time; it stays`)
      if (!input.evenRunning) demandAction(vm, 'expunge')
      await demandNoDeployments(tx, vm.id)
      await demandNoneStandsOn(tx, vm)
      if (vm.state === 'Running') await moveVm(tx, vm.id, 'StopRequested')
      else await moveVm(tx, vm.id, 'ExpungeOperation', { destroyed: vm.destroyed ?? new Date() })
    },
    undo: noWayBack,
  })
  .act('stop', {
    do: async ({ driver, input, signal }) => driver.machines.stop(input.vm, 0, signal),
    undo: noWayBack,
  })
  .record('note-stopped', {
    do: async ({ tx, input }) => {
      const { state } = await holdVm(tx, input.vm)
      if (state !== 'Stopping') return
      await moveVm(tx, input.vm, 'OperationSucceeded', { host_id: null })
      await moveVm(tx, input.vm, 'ExpungeOperation', { destroyed: new Date() })
    },
    undo: noWayBack,
  })
  .record('let-go-of-ports', {
    do: ({ tx, input }) => revokeRules(tx, { vm: input.vm }),
    undo: noWayBack,
  })
  .actWhen('free-ports', {
    when: made => made['let-go-of-ports'].length > 0,
    do: context => settlePorts(context, context.made['let-go-of-ports']),
    undo: noWayBack,
  })
  .act('discard-machine', {
    do: async ({ driver, input }) => driver.machines.discard(input.vm),
    undo: noWayBack,
  })
  .record('let-go-of-snapshots', {
    do: async context => {
      await giveUpFrozen(context, context.input.vm)
      return letGoOfSnapshots(context.tx, context.input.vm)
    },
    undo: noWayBack,
  })
  .actWhen('discard-memory', {
    when: made => made['let-go-of-snapshots'].memories.length > 0,
    do: async ({ db, driver, made }) => {
      for (const id of made['let-go-of-snapshots'].memories) {
        const image = await memoryRefIfAny(db, id)
        if (image) await driver.memory.discard(image)
      }
    },
    undo: noWayBack,
  })
  .record('let-go-of-disks', {
    do: async ({ tx, input, jobs, job }): Promise<LayerId[]> => {
      const layers: LayerId[] = []
      for (const volume of await volumesOf(tx, input.vm)) {
        if (volume.type === 'ROOT') {
          if (volume.layer_id) layers.push(volume.layer_id)
        } else if (volume.layer_id || volume.disk_key === volume.id) {
          await setVolume(tx, volume.id, { vm_id: null, device_id: null, attached: null })
          if (!input.volumes?.includes(volume.id)) continue
          await moveVolume(tx, volume.id, 'DestroyRequested')
          await expungeVolume(tx, volume, jobs, originOf(job))
        }
      }
      for (const layer of layers) await markRemoving(tx, layer)
      return layers
    },
    undo: noWayBack,
  })
  .act('discard-disks', {
    do: async ({ db, driver, made }) => {
      for (const id of made['let-go-of-disks']) {
        const layer = await layerRefIfAny(db, id)
        if (layer) await driver.layers.discard(layer)
      }
    },
    undo: noWayBack,
  })
  .record('forget', {
    do: async ({ tx, input, made, jobs, job }) => {
      await leaveSeeds(tx, input.vm, jobs, originOf(job))
      for (const volume of await volumesOf(tx, input.vm)) {
        await retireVolume(tx, volume.id)
        await recordEvent(tx, {
          type: 'VOLUME.DELETE',
          description: `deleted volume ${volume.name}`,
          account: volume.account_id,
          user: job.user_id,
          resourceType: 'Volume',
          resource: volume.id,
          startEvent: job.start_event_id,
        })
      }
      for (const memory of made['let-go-of-snapshots'].memories) await forgetMemory(tx, memory)
      for (const layer of made['let-go-of-disks']) await forgetLayerAndAncestors(tx, layer, jobs, originOf(job))
      // The ends of other branches; what they stand on goes with the last of them.
      for (const layer of made['let-go-of-snapshots'].layers) await removeIfUnneeded(tx, layer, jobs, originOf(job))
      await standOnNothing(tx, input.vm)
      await tx.deleteFrom('affinity_group_vm').where('vm_id', '=', input.vm).execute()
      await tx.deleteFrom('nic').where('vm_id', '=', input.vm).execute()
      await setVm(tx, input.vm, { removed: new Date(), host_id: null, password_hash: null, user_data: null })
    },
    undo: noWayBack,
  })

/** VM snapshots of any state end with their machine. */
async function letGoOfSnapshots(tx: Tx, vm: VmId): Promise<{ layers: LayerId[]; memories: MemoryImageId[] }> {
  const [layers, memories]: [LayerId[], MemoryImageId[]] = [[], []]
  for (const snapshot of await vmSnapshotsOf(tx, vm)) {
    layers.push(...(await takeOutOfTree(tx, snapshot)), ...(await retireSeeds(tx, snapshot.id)))
    if (snapshot.memory_image_id) memories.push(snapshot.memory_image_id)
    await setVmSnapshot(tx, snapshot.id, { state: 'Removed', removed: new Date(), is_current: false })
  }
  for (const memory of memories) await markMemoryRemoving(tx, memory)
  return { layers, memories }
}
