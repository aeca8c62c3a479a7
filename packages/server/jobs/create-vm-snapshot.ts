// Takes a VM snapshot: every disk gets a new layer at one instant, and the layers below become the snapshot's; of the type
// DiskAndMemory the memory of that instant is saved too. It is Ready when everything is safe on primary storage. When it fails, the
// machine runs on, and the snapshot stays as one in Error that tells why and can be deleted.
import type { VmId, VmSnapshotId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { CutFacts } from '../drivers/driver.ts'
import { demandAction, holdVm, type Vm, vmLock } from '../store/vms.ts'
import {
  currentOf,
  demandNoneAtWork,
  holdVmSnapshot,
  makeCurrent,
  moveVmSnapshot,
  nameDisks,
} from '../store/vm-snapshots.ts'
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

export interface CreateVmSnapshot {
  readonly vm: VmId
  readonly snapshot: VmSnapshotId
  readonly withMemory: boolean
  readonly quiesce: boolean
}

export const createVmSnapshot = defineJob<CreateVmSnapshot>({
  kind: 'create-vm-snapshot',
  event: 'VMSNAPSHOT.CREATE',
  doing: 'taking VM snapshot',
  instanceType: 'VmSnapshot',
  cancellable: true,
  lock: input => vmLock(input.vm),
  onLayers: true,
  instance: input => input.snapshot,
})
  .record('reserve', { do: reserve, undo: unreserveInstant })
  .act('fork', forkInstant)
  .actWhen('cut', { ...cutInstant, do: context => cutInstant.do(context, { quiesce: context.input.quiesce }) })
  .record('publish', {
    do: async ({ tx, input, made }) => {
      const { cut } = made
      await nameDisks(tx, input.snapshot, await publishInstant(tx, made))
      await makeCurrent(tx, input.vm, input.snapshot)
      const facts = { stun_ms: cut?.stunMs ?? null, quiesce: cut?.quiesced ?? null }
      await moveVmSnapshot(tx, input.snapshot, 'OperationSucceeded', facts)
      return outcomeOf(cut)
    },
    undo: nothing('nothing follows it'),
  })
  .returning(made => ({ outcome: made.publish }))
  .whenItFails(async ({ tx, input, problem }) => {
    const { state } = await holdVmSnapshot(tx, input.snapshot)
    if (state !== 'Error')
      await moveVmSnapshot(tx, input.snapshot, 'OperationFailed', { error: problem?.message ?? null })
  })

async function reserve({ tx, input }: RecordContext<CreateVmSnapshot, object>): Promise<Reserved> {
  const vm = await holdVm(tx, input.vm)
  demandAction(vm, 'snapshot')
  if (input.withMemory) demandRunningForMemory(vm)
  await demandNoneAtWork(tx, vm.id, input.snapshot)
  const reserved = await reserveInstant(tx, vm, input.withMemory)
  await moveVmSnapshot(tx, input.snapshot, 'CreateRequested', {
    parent_id: await currentOf(tx, vm.id),
    memory_image_id: reserved.memory,
  })
  return reserved
}

export function demandRunningForMemory({ name, state }: Pick<Vm, 'name' | 'state'>): void {
  if (state === 'Running') return
  throw new Problem(
    'refused',
    'memory-of-stopped',
    `Virtual machine ${name} is ${state}; only a running machine has memory to save. Leave out snapshotmemory`,
  )
}

/** For the event log: how long the guest stood still, and whether its file systems were at rest. */
function outcomeOf(cut: CutFacts | undefined): string {
  const quiet = cut?.quiesced ? [`quiesce: ${cut.quiesced}`] : []
  return [...stunOf(cut), ...quiet].join(', ')
}
