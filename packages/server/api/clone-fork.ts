// Which instant of a machine its clones are made of: the one in which it stands still; one that others wait for already; a new one; or, where
// so many disks stand on the machine's that each further instant would be a burden to it, one that is kept for all that come (docs/decisions/0036).
import { wayToClone } from '@ramet/core/chain.ts'
import { newId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import type { CloneNode } from '../jobs/clone-node.ts'
import { forkVm } from '../jobs/fork-vm.ts'
import type { JobOrigin } from '../jobs/tools.ts'
import { budgetOf } from '../store/chains.ts'
import type { Tx } from '../store/database.ts'
import { deltasOf, waitingFor } from '../store/deltas.ts'
import {
  disksOfFork,
  type Fork,
  forkOfFrozen,
  forkToJoin,
  insertFork,
  jobMaking,
  keptForkOf,
  setFork,
} from '../store/forks.ts'
import { holdLockKey } from '../store/jobs.ts'
import type { Vm } from '../store/vms.ts'
import { volumesOf } from '../store/volumes.ts'

type FromFork = Extract<CloneNode['from'], { readonly fork: unknown }>

export interface ClonesAsked {
  readonly vm: Vm
  readonly isInstant: boolean
  readonly cloneType: 'full' | 'linked' | null
  readonly count: number
}

export async function forkForClones(app: App, tx: Tx, asked: ClonesAsked, origin: JobOrigin): Promise<FromFork> {
  const { vm, isInstant } = asked
  const frozen = vm.is_frozen && (await forkOfFrozen(tx, vm.id))
  if (frozen) return { fork: frozen.id, job: null }
  await holdLockKey(tx, `fork:${vm.id}`)
  const isKept = await isToBeKept(app, tx, asked)
  const found = isKept ? await keptToJoin(tx, vm) : await forkToJoin(tx, vm.id, isInstant)
  if (found) return found
  const fork = newId<'fork'>()
  await insertFork(tx, { id: fork, vm_id: vm.id, with_memory: isInstant, is_kept: isKept })
  const job = await app.jobs.start(tx, forkVm, { vm: vm.id, fork }, { ...origin, command: 'forkVirtualMachine' })
  return { fork, job }
}

/** Throws where the hypervisor lets no more disks stand on those of the machine. */
async function isToBeKept(app: App, tx: Tx, { vm, isInstant, cloneType, count }: ClonesAsked): Promise<boolean> {
  const { most_deltas: most, hypervisor } = await budgetOf(tx, vm.id)
  const deltas = (await deltasOf(tx, vm.id)) + (await waitingFor(tx, vm.id))
  const way = wayToClone(deltas, cloneType === 'full' ? 0 : count, {
    threshold: isInstant && app.settings.flag('instantclone.delta.switch') ? threshold(app) : null,
    most,
  })
  if (way === 'none') throw tooManyDeltas(vm.name, deltas, hypervisor, most ?? 0)
  return way === 'kept'
}

function threshold({ settings }: App): number {
  return settings.number('instantclone.delta.threshold')
}

/** A kept instant has the disks that the machine has; where it was given one since, or lost one, another is kept from now on. */
async function keptToJoin(tx: Tx, vm: Vm): Promise<FromFork | undefined> {
  // Before its fork, as everybody does: an insertion of another fork is going to hold it so too.
  await tx.selectFrom('vm').select('id').where('id', '=', vm.id).forKeyShare().execute()
  const fork = await keptForkOf(tx, vm.id)
  if (!fork) return undefined
  if (fork.state === 'Ready' && (await hasDisksOf(tx, fork)))
    return { fork: fork.id, job: null, heldAt: fork.created.toISOString() }
  const job = fork.state === 'Ready' ? undefined : await jobMaking(tx, vm.id, fork.id)
  if (job) return { fork: fork.id, job }
  await setFork(tx, fork.id, { is_kept: false })
  return undefined
}

async function hasDisksOf(tx: Tx, fork: Fork): Promise<boolean> {
  const held = (await disksOfFork(tx, fork.id)).map(({ volume_id }) => volume_id)
  const now = (await volumesOf(tx, fork.vm_id)).map(({ id }) => id)
  return held.length === now.length && now.every(id => held.includes(id))
}

function tooManyDeltas(name: string, deltas: number, hypervisor: string, most: number): Problem {
  return new Problem(
    'refused',
    'too-many-deltas',
    `${deltas} disks of clones stand on what ${name} wrote, and ${hypervisor} takes ${most} at most. consolidateVirtualMachine makes it independent of what they read; freezeVirtualMachine makes it a source that any number can stand on. Or destroy clones, or make them independent with convertVirtualMachineToFullClone`,
  )
}
