// Holds a machine at one instant, for clones to be made of it: a cut of all its disks and, for instant clones, of its memory. The machine
// runs on, on new layers. It is no VM snapshot, and nobody asks for it by itself: the clones that wait for it begin when it is done, and all
// that were asked for before it began share it. Nothing keeps it longer than that (drop-fork.ts), but
// where the machine carries many clones already: then it is kept, for all that follow (api/clone-fork.ts).
import type { ForkId, VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { deltasOf } from '../store/deltas.ts'
import { holdFork, nameDisksOfFork, setFork } from '../store/forks.ts'
import { demandAction, holdVm, type Vm, vmLock } from '../store/vms.ts'
import type { Settings } from '../settings.ts'
import {
  cutInstant,
  forkInstant,
  publishInstant,
  type Reserved,
  reserveInstant,
  stunOf,
  unreserveInstant,
} from './cut-machine.ts'
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
  .record('reserve', { do: reserve, undo: unreserveInstant })
  .act('fork', forkInstant)
  .actWhen('cut', { ...cutInstant, do: context => cutInstant.do(context, { inHostMemory: true }) })
  .record('publish', {
    do: async ({ tx, input, made, settings }) => {
      const { cut } = made
      await nameDisksOfFork(tx, input.fork, await publishInstant(tx, made))
      await setFork(tx, input.fork, { state: 'Ready', stun_ms: cut?.stunMs ?? null })
      const way = cut?.way ? [`memory: ${cut.way}`] : []
      const fork = await holdFork(tx, input.fork)
      const advice = adviceOn(await deltasOf(tx, input.vm, true), fork?.is_kept ?? false, settings)
      return [...stunOf(cut), ...way, ...advice].join(', ')
    },
    undo: nothing('nothing follows it'),
  })
  .returning(made => ({ outcome: made.publish }))
  .whenItFails(async context => {
    await setFork(context.tx, context.input.fork, { state: 'Error', is_kept: false })
    await dropForkIfUnneeded(context, context.input.fork)
  })

/** What is told to whoever clones a running machine again and again. */
function adviceOn(deltas: number, isKept: boolean, settings: Settings): string[] {
  const threshold = settings.number('instantclone.delta.threshold')
  if (!isKept && deltas < threshold) return []
  const stand = `${deltas} disks stand on those of the machine`
  if (!isKept) return [`${stand}: clones of a frozen one (freezeVirtualMachine) cost it nothing`]
  return [
    `${stand}, and more than ${threshold} would: instant clones are made of this instant from now on, until consolidateVirtualMachine, or until fewer stand there (instantclone.delta.threshold)`,
  ]
}

async function reserve({ tx, input }: RecordContext<ForkVm, object>): Promise<Reserved> {
  const vm = await holdVm(tx, input.vm)
  demandAction(vm, 'clone')
  const fork = await holdFork(tx, input.fork)
  if (!fork)
    throw new Problem('refused', 'fork-gone', `Fork ${input.fork} of ${vm.name} is gone; ask for the clone again`)
  if (fork.with_memory && vm.state !== 'Running') throw memoryOfStopped(vm)
  const reserved = await reserveInstant(tx, vm, fork.with_memory)
  await setFork(tx, fork.id, { state: 'Creating', memory_image_id: reserved.memory })
  return reserved
}

/** What an instant clone of a machine that does not run is told. */
export function memoryOfStopped({ name, state }: Pick<Vm, 'name' | 'state'>): Problem {
  return new Problem(
    'refused',
    'memory-of-stopped',
    `Virtual machine ${name} is ${state}, and an instant clone goes on from the memory of a machine that runs or is frozen. Start it first (startVirtualMachine), or ask for clonetype=linked or full`,
  )
}
