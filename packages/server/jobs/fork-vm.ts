// Holds a machine at one instant, for clones to be made of it: a cut of all its disks and, for instant clones, of its memory. The machine
// runs on, on new layers. It is no VM snapshot, and nobody asks for it by itself: the clones that wait for it begin when it is done, and all
// that were asked for before it began share it. Nothing keeps it longer than that (drop-fork.ts).
import { type ForkId, type MemoryImageId, newId, type VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { deltasOn, holdFork, nameDisksOfFork, setFork } from '../store/forks.ts'
import { forgetMemory, memoryRefIfAny, publishMemory, reserveMemory } from '../store/memory-images.ts'
import { demandAction, holdVm, type Vm, vmLock } from '../store/vms.ts'
import { type Volume, volumesOf } from '../store/volumes.ts'
import type { Settings } from '../settings.ts'
import type { Tx } from '../store/database.ts'
import {
  type CutDisk,
  cutDisks,
  forkDisks,
  measureOld,
  publishCut,
  reserveCut,
  settleCut,
  unforkDisks,
  unreserveCut,
} from './cut-disks.ts'
import { defineJob, nothing, type RecordContext } from './define-job.ts'
import { dropForkIfUnneeded } from './drop-fork.ts'

export interface ForkVm {
  readonly vm: VmId
  readonly fork: ForkId
}

export const forkVm = defineJob<ForkVm>({
  kind: 'fork-vm',
  event: 'VM.FORK',
  doing: 'holding an instant of virtual machine for its clones',
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
      if (memory) await forgetMemory(context.tx, memory)
    },
  })
  .act('fork', {
    do: async context => {
      const { disks } = context.made.reserve
      return { facts: await forkDisks(context, disks), ofOld: await measureOld(context, disks) }
    },
    undo: context => unforkDisks(context, context.made.reserve.disks),
  })
  .actWhen('cut', {
    when: made => made.reserve.isRunning,
    do: async context => {
      const { disks, memory } = context.made.reserve
      const facts = await cutDisks(context, context.input.vm, disks, memory, false, true)
      return { ...facts, ofOld: await measureOld(context, disks) }
    },
    undo: async context => {
      const { db, driver, input, made } = context
      await settleCut(context, input.vm, made.reserve.disks)
      const image = made.reserve.memory && (await memoryRefIfAny(db, made.reserve.memory))
      if (image) await driver.memory.discard(image)
    },
  })
  .record('publish', {
    do: async ({ tx, input, made, settings }) => {
      const { disks, memory } = made.reserve
      const { cut } = made
      await publishCut(tx, disks, made.fork.facts, (cut ?? made.fork).ofOld)
      await nameDisksOfFork(
        tx,
        input.fork,
        disks.map(({ volume, old, deviceId, bytes }) => ({ volume, layer: old, deviceId, bytes })),
      )
      if (memory && cut?.memory) await publishMemory(tx, memory, cut.memory)
      await setFork(tx, input.fork, { state: 'Ready', stun_ms: cut?.stunMs ?? null })
      const way = cut?.way ? [`memory: ${cut.way}`] : []
      const stun = typeof cut?.stunMs === 'number' ? [`the guest stood still for ${cut.stunMs.toFixed(1)} ms`] : []
      const advice = adviceOn(await deltasOn(tx, input.vm), settings)
      return [...stun, ...way, ...advice].join(', ')
    },
    undo: nothing('nothing follows it'),
  })
  .returning(made => ({ outcome: made.publish }))
  .whenItFails(async context => {
    await setFork(context.tx, context.input.fork, { state: 'Error' })
    await dropForkIfUnneeded(context, context.input.fork)
  })

/** What is told to whoever clones a running machine again and again. */
function adviceOn(deltas: number, settings: Settings): string[] {
  if (deltas < settings.number('instantclone.delta.threshold')) return []
  return [
    `${deltas} disks stand on those of the machine: clones of a frozen one (freezeVirtualMachine) cost it nothing`,
  ]
}

interface Reserved {
  readonly isRunning: boolean
  readonly disks: CutDisk[]
  readonly memory: MemoryImageId | null
}

async function reserve({ tx, input }: RecordContext<ForkVm, object>): Promise<Reserved> {
  const vm = await holdVm(tx, input.vm)
  demandAction(vm, 'clone')
  const fork = await holdFork(tx, input.fork)
  if (!fork)
    throw new Problem('refused', 'fork-gone', `Fork ${input.fork} of ${vm.name} is gone; ask for the clone again`)
  if (fork.with_memory && vm.state !== 'Running') throw memoryOfStopped(vm)
  const volumes = await volumesOf(tx, vm.id)
  const disks = await reserveCut(tx, volumes)
  const memory = fork.with_memory ? await reserveMemoryOf(tx, vm, volumes) : null
  await setFork(tx, fork.id, { state: 'Creating', memory_image_id: memory })
  return { isRunning: vm.state === 'Running', disks, memory }
}

/** Names a memory image, on the storage of the root disk. */
export async function reserveMemoryOf(tx: Tx, vm: Vm, volumes: readonly Volume[]): Promise<MemoryImageId> {
  const pool = volumes.find(({ type }) => type === 'ROOT')?.pool_id
  if (!pool) throw new Problem('refused', 'vm-without-disk', `Virtual machine ${vm.name} has no root disk`)
  const memory = newId<'memory-image'>()
  await reserveMemory(tx, { id: memory, pool, account: vm.account_id, memoryBytes: vm.memory_mib * 2 ** 20 })
  return memory
}

/** What an instant clone of a machine that does not run is told. */
export function memoryOfStopped({ name, state }: Pick<Vm, 'name' | 'state'>): Problem {
  return new Problem(
    'refused',
    'memory-of-stopped',
    `Virtual machine ${name} is ${state}, and an instant clone goes on from the memory of a machine that runs or is frozen. Start it first (startVirtualMachine), or ask for clonetype=linked or full`,
  )
}
