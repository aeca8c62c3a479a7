// Takes a VM snapshot: every disk gets a new layer at one instant, and the layers below become the snapshot's; of the type
// DiskAndMemory the memory of that instant is saved too. It is Ready when everything is safe on primary storage. When it fails, the
// machine runs on, and the snapshot stays as one in Error that tells why and can be deleted.
import { type MemoryImageId, newId, type VmId, type VmSnapshotId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { CutFacts } from '../drivers/driver.ts'
import { forgetMemory, memoryRefIfAny, publishMemory, reserveMemory } from '../store/memory-images.ts'
import { demandAction, holdVm, type Vm, vmLock } from '../store/vms.ts'
import {
  currentOf,
  demandNoneAtWork,
  holdVmSnapshot,
  makeCurrent,
  moveVmSnapshot,
  nameDisks,
} from '../store/vm-snapshots.ts'
import { volumesOf } from '../store/volumes.ts'
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
      const facts = await cutDisks(context, context.input.vm, disks, memory, context.input.quiesce)
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
    do: async ({ tx, input, made }) => {
      const { disks, memory } = made.reserve
      const { cut } = made
      await publishCut(tx, disks, made.fork.facts, (cut ?? made.fork).ofOld)
      await nameDisks(
        tx,
        input.snapshot,
        disks.map(({ volume, old, deviceId, bytes }) => ({ volume, layer: old, deviceId, bytes })),
      )
      if (memory && cut?.memory) await publishMemory(tx, memory, cut.memory)
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

interface Reserved {
  readonly isRunning: boolean
  readonly disks: CutDisk[]
  readonly memory: MemoryImageId | null
}

async function reserve({ tx, input }: RecordContext<CreateVmSnapshot, object>): Promise<Reserved> {
  const vm = await holdVm(tx, input.vm)
  demandAction(vm, 'snapshot')
  if (input.withMemory) demandRunningForMemory(vm)
  await demandNoneAtWork(tx, vm.id, input.snapshot)
  const volumes = await volumesOf(tx, vm.id)
  const disks = await reserveCut(tx, volumes)
  const pool = volumes.find(({ type }) => type === 'ROOT')?.pool_id
  if (!pool) throw new Problem('refused', 'vm-without-disk', `Virtual machine ${vm.name} has no root disk`)
  const memory = input.withMemory ? newId<'memory-image'>() : null
  if (memory)
    await reserveMemory(tx, { id: memory, pool, account: vm.account_id, memoryBytes: vm.memory_mib * 2 ** 20 })
  await moveVmSnapshot(tx, input.snapshot, 'CreateRequested', {
    parent_id: await currentOf(tx, vm.id),
    memory_image_id: memory,
  })
  return { isRunning: vm.state === 'Running', disks, memory }
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
  const stun = typeof cut?.stunMs === 'number' ? [`the guest stood still for ${cut.stunMs.toFixed(1)} ms`] : []
  const quiet = cut?.quiesced ? [`quiesce: ${cut.quiesced}`] : []
  return [...stun, ...quiet].join(', ')
}
