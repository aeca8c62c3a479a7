// Lets go of a fork when no clone is being made of it any more: its layers are as those that lost any name, and its memory stays while
// machines that went on from it run.
import type { ForkId, VmId } from '@ramet/core/ids.ts'
import type { Tx } from '../store/database.ts'
import { forgetFork, forkOfFrozen, holdFork, isForkUnneeded, keptForkOf, setFork, staysAnyway } from '../store/forks.ts'
import { holdVm, setVm } from '../store/vms.ts'
import type { RecordContext } from './define-job.ts'
import { removeIfUnneeded } from './remove-layer.ts'
import { removeMemoryIfUnneeded } from './remove-memory.ts'
import { type JobOrigin, type JobStarter, originOf } from './tools.ts'

type Recording = Pick<RecordContext<object, object>, 'tx' | 'jobs' | 'job'>

export async function dropForkIfUnneeded({ tx, jobs, job }: Recording, id: ForkId): Promise<void> {
  await dropFork(tx, id, jobs, originOf(job))
}

export async function dropFork(tx: Tx, id: ForkId, jobs: JobStarter, origin: JobOrigin): Promise<void> {
  const fork = await holdFork(tx, id)
  if (!fork || !(await isForkUnneeded(tx, fork))) return
  const { layers, memory } = await forgetFork(tx, fork)
  for (const layer of layers) await removeIfUnneeded(tx, layer, jobs, { ...origin, command: 'removeLayer' })
  if (memory) await removeMemoryIfUnneeded(tx, memory, jobs, { ...origin, command: 'removeMemory' })
}

/** The machine is made, or never will be. */
export async function leaveFork(context: Recording, vm: VmId, fork: ForkId | null): Promise<void> {
  if (!fork) return
  await setVm(context.tx, vm, { fork_id: null })
  if (!(await staysAnyway(context.tx, fork))) await dropForkIfUnneeded(context, fork)
}

/** The instant of a running machine that further clones were to be made of. Everybody holds machine, fork and layers in this order. */
export async function giveUpKept(tx: Tx, vm: VmId, jobs: JobStarter, origin: JobOrigin): Promise<void> {
  await holdVm(tx, vm)
  const fork = await keptForkOf(tx, vm)
  if (!fork) return
  await setFork(tx, fork.id, { is_kept: false })
  await dropFork(tx, fork.id, jobs, origin)
}

/** A frozen machine that is destroyed gives up the instant at which it stood still; its clones keep what they read of it. */
export async function giveUpFrozen(context: Recording, vm: VmId): Promise<void> {
  const fork = await forkOfFrozen(context.tx, vm)
  if (!fork) return
  await setFork(context.tx, fork.id, { is_frozen: false })
  await setVm(context.tx, vm, { is_frozen: false })
  await dropForkIfUnneeded(context, fork.id)
}
