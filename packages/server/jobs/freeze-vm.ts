// Freezes a machine as a source for clones: it stands still at one instant, its memory of that instant is kept in the memory of its host, and
// it has no process any more. Its disks get new, empty layers that nobody writes until it goes on, so each clone stands on the instant
// itself, and none costs the source anything. If it fails, the machine goes on from where it was stopped, on
// those new layers.
import type { ForkId, MemoryImageId, VmId } from '@ramet/core/ids.ts'
import { isDiskWritten } from '../drivers/disk-written.ts'
import type { MemoryImageRef } from '../drivers/driver.ts'
import { insertFork, nameDisksOfFork, setFork } from '../store/forks.ts'
import { forgetMemory, memoryRef, memoryRefIfAny, publishMemory } from '../store/memory-images.ts'
import { demandAction, holdVm, moveVm, vmLock } from '../store/vms.ts'
import { volumesOf } from '../store/volumes.ts'
import {
  type CutDisk,
  forkDisks,
  measureOld,
  publishCut,
  reserveCut,
  settleCut,
  unforkDisks,
  unreserveCut,
} from './cut-disks.ts'
import { namedDisks, reserveMemoryOf } from './cut-machine.ts'
import { defineJob, nothing, type RecordContext, type StepContext } from './define-job.ts'
import { machineSpec } from './machine-spec.ts'

export interface FreezeVm {
  readonly vm: VmId
  /** To be made. */
  readonly fork: ForkId
}

export const freezeVm = defineJob<FreezeVm>({
  kind: 'freeze-vm',
  event: 'VM.FREEZE',
  doing: 'freezing virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: true,
  lock: input => vmLock(input.vm),
  onLayers: true,
  instance: input => input.vm,
})
  .record('reserve', {
    do: reserve,
    undo: async context => {
      const { disks, memory } = (context.made as { reserve: Reserved }).reserve
      await unreserveCut(context, disks)
      await context.tx.deleteFrom('fork').where('id', '=', context.input.fork).execute()
      await forgetMemory(context.tx, memory)
    },
  })
  .act('fork', {
    do: context => forkDisks(context, context.made.reserve.disks),
    undo: context => unforkDisks(context, context.made.reserve.disks),
  })
  .act('freeze', {
    do: async context => {
      const { db, driver, input, made, progress, signal } = context
      const image = await memoryRef(db, made.reserve.memory)
      const facts = await driver.machines.freeze(input.vm, image, progress, signal)
      return { facts, ofOld: await measureOld(context, made.reserve.disks) }
    },
    undo: goOn,
  })
  .record('publish', {
    do: async ({ tx, input, made }) => {
      const { disks, memory } = made.reserve
      await publishCut(tx, disks, made.fork, made.freeze.ofOld)
      await nameDisksOfFork(tx, input.fork, namedDisks(disks))
      await publishMemory(tx, memory, made.freeze.facts)
      await setFork(tx, input.fork, { state: 'Ready', is_frozen: true })
      await moveVm(tx, input.vm, 'FollowAgentPowerOffReport', { host_id: null, is_frozen: true })
    },
    undo: nothing('nothing follows it'),
  })

interface Reserved {
  readonly disks: CutDisk[]
  readonly memory: MemoryImageId
}

async function reserve({ tx, input }: RecordContext<FreezeVm, object>): Promise<Reserved> {
  const vm = await holdVm(tx, input.vm)
  demandAction(vm, 'freeze')
  const volumes = await volumesOf(tx, vm.id)
  const disks = await reserveCut(tx, volumes)
  const memory = await reserveMemoryOf(tx, vm, volumes)
  await insertFork(tx, { id: input.fork, vm_id: vm.id, with_memory: true })
  await setFork(tx, input.fork, { state: 'Creating', memory_image_id: memory })
  return { disks, memory }
}

/**
 * Where the machine stands still already, it goes on from there, on the new layers: those that it wrote until then would not fit its memory
 * any more as soon as it writes. One that went on from there and went off again, noticed by nobody, stays off.
 */
async function goOn(context: StepContext<FreezeVm, { reserve: Reserved }>): Promise<string | undefined> {
  const { db, driver, input, made } = context
  const image = await memoryRefIfAny(db, made.reserve.memory)
  if (!image) return undefined
  const { power } = await driver.machines.facts(input.vm)
  const isFrozen = power === 'off' && (await driver.memory.facts(image)) !== null
  await settleCut(context, input.vm, made.reserve.disks)
  const remark = isFrozen ? await startFrom(context, image) : undefined
  await driver.memory.discard(image)
  return remark
}

async function startFrom(
  { db, driver, settings, input }: StepContext<FreezeVm, object>,
  image: MemoryImageRef,
): Promise<string | undefined> {
  const spec = await machineSpec(db, input.vm, settings.flag('guest.network.outward'), image)
  try {
    await driver.machines.start(spec)
    return undefined
  } catch (error) {
    if (isDiskWritten(error)) return 'The machine is Stopped: it ran on, and went off again'
    throw error
  }
}
