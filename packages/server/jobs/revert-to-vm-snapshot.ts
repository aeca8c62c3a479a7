// Brings a machine back to a VM snapshot: its disks become new, empty layers on the snapshot's, its present ones go. To one with
// memory the machine goes on from there, a new process on the saved memory; to one without it is left stopped. All is prepared before
// the machine is stopped: one that goes on from memory runs until the new process takes its place. The old disks are let go of only when the new state stands: a revert that fails gives them back,
// and runs the machine again if it ran (interrupt-vm.ts).
import { type LayerId, newId, type VmId, type VmSnapshotId, type VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { powerAfterRevert } from '@ramet/core/vm-snapshot.ts'
import type { LayerFacts } from '../drivers/driver.ts'
import type { Settings } from '../settings.ts'
import type { Tx } from '../store/database.ts'
import { forgetLayer, publishLayer, reserveLayer } from '../store/layers.ts'
import { memoryRef } from '../store/memory-images.ts'
import { demandPoolServesDisks } from '../store/pools.ts'
import { demandAction, holdVm, setVm, type Vm, vmLock } from '../store/vms.ts'
import {
  currentOf,
  demandNoneAtWork,
  demandSnapshotAction,
  disksOf,
  holdVmSnapshot,
  makeCurrent,
  moveVmSnapshot,
  type VmSnapshot,
  vmSnapshotById,
} from '../store/vm-snapshots.ts'
import { setVolume, volumesOf } from '../store/volumes.ts'
import { forkDisks, unforkDisks } from './cut-disks.ts'
import { defineJob, nothing, type RecordContext, type StepContext } from './define-job.ts'
import { interruption } from './interrupt-vm.ts'
import { machineSpec } from './machine-spec.ts'
import { removeIfUnneeded } from './remove-layer.ts'
import { originOf } from './tools.ts'
import { noteRunning, runMachine, takeHost } from './vm-steps.ts'

export interface RevertToVmSnapshot {
  readonly vm: VmId
  readonly snapshot: VmSnapshotId
  /** Leave the snapshot's memory alone. */
  readonly diskOnly: boolean
  /** Taken just before, of the present state; nothing is reverted without it. */
  readonly safety: VmSnapshotId | null
}

export const revertToVmSnapshot = defineJob<RevertToVmSnapshot>({
  kind: 'revert-to-vm-snapshot',
  event: 'VMSNAPSHOT.REVERTTO',
  doing: 'reverting to VM snapshot',
  instanceType: 'VmSnapshot',
  cancellable: false,
  lock: input => vmLock(input.vm),
  onLayers: true,
  instance: input => input.snapshot,
})
  .record('begin', {
    do: begin,
    undo: async ({ tx, input, made }) => {
      for (const { layer } of (made as Made).begin.disks) await forgetLayer(tx, layer)
      await moveVmSnapshot(tx, input.snapshot, 'OperationFailed')
    },
  })
  .actWhen('look', {
    when: made => made.begin.withMemory,
    do: demandFits,
    undo: nothing('it only looks'),
  })
  .act('fork', {
    do: context => forkDisks(context, context.made.begin.disks),
    undo: context => unforkDisks(context, context.made.begin.disks),
  })
  .record('begin-stop', interruption.begin)
  .actWhen('stop', {
    ...interruption.stop,
    do: context => (context.made.begin.withMemory ? Promise.resolve() : interruption.stop.do(context)),
  })
  .record('note-stopped', interruption.note)
  .record('switch', {
    do: context => switchTo(context, context.made.begin, context.made.fork),
    undo: switchBack,
  })
  .record('take-host', {
    do: async context => void (context.made.begin.isToRun && (await takeHost.do(context))),
    undo: async context => {
      const { state } = await holdVm(context.tx, context.input.vm)
      if (state === 'Starting') await takeHost.undo(context)
    },
  })
  .actWhen('run', { when: made => made.begin.isToRun, do: run, undo: unlessAsBefore })
  .record('finish', {
    do: async context => {
      const { tx, input, made, jobs, job } = context
      if (made.run) await noteRunning(context, made.run.facts)
      await moveVmSnapshot(tx, input.snapshot, 'OperationSucceeded')
      const vm = await holdVm(tx, input.vm)
      // Its memory may be of a time when its guest was not somebody of its own yet.
      if (made.run && vm.is_instant) await setVm(tx, vm.id, { customized: false })
      const origin = { ...originOf(job), command: 'removeLayer' }
      for (const { old } of made.begin.now) await removeIfUnneeded(tx, old, jobs, origin)
    },
    undo: nothing('nothing follows it'),
  })
  .returning(made => ({ outcome: made.run ? `the guest's clock: ${made.run.clock}` : '' }))

type Recording = RecordContext<RevertToVmSnapshot, object>

interface Begun {
  readonly wasRunning: boolean
  readonly isToRun: boolean
  readonly withMemory: boolean
  /** The new disks: `old` is the snapshot's layer, which `layer` stands on. */
  readonly disks: readonly { volume: VolumeId; old: LayerId; layer: LayerId; bytes: number }[]
  /** What the machine has now, and gets back if the revert fails. */
  readonly now: readonly { volume: VolumeId; old: LayerId; bytes: number }[]
  readonly current: VmSnapshotId | null
  readonly sizes: Sizes
  readonly generation: string
}

type Made = { readonly begin: Begun }

export type Sizes = Pick<Vm, 'service_offering_id' | 'cpus' | 'cpu_mhz' | 'memory_mib'>

export function sizesOf({ service_offering_id, cpus, cpu_mhz, memory_mib }: Sizes): Sizes {
  return { service_offering_id, cpus, cpu_mhz, memory_mib }
}

async function begin({ tx, input, settings }: Recording): Promise<Begun> {
  const vm = await holdVm(tx, input.vm)
  await demandNoneAtWork(tx, vm.id, input.snapshot)
  demandAction(vm, 'revert')
  const snapshot = await holdVmSnapshot(tx, input.snapshot)
  demandSnapshotAction(snapshot, 'revert')
  if (input.safety) await demandSafety(tx, input.safety)
  const withMemory = snapshot.type === 'DiskAndMemory' && !input.diskOnly
  const after = powerAfterRevert(withMemory ? 'DiskAndMemory' : 'Disk')
  demandPower(vm, snapshot, after, settings)
  const now = await disksNow(tx, vm, snapshot)
  const disks = await reserveDisks(tx, vm, snapshot)
  await moveVmSnapshot(tx, snapshot.id, 'RevertRequested')
  return {
    wasRunning: vm.state === 'Running',
    isToRun: after === 'Running',
    withMemory,
    disks,
    now,
    current: await currentOf(tx, vm.id),
    sizes: sizesOf(vm),
    generation: vm.generation_id,
  }
}

export async function demandSafety(tx: Tx, id: VmSnapshotId): Promise<void> {
  const safety = await vmSnapshotById(tx, id)
  if (safety?.state === 'Ready') return
  throw new Problem(
    'refused',
    'safety-snapshot-failed',
    `Nothing was reverted, because the safety snapshot before it failed: ${safety?.error ?? 'it is gone'}`,
  )
}

export function demandPower(vm: Vm, snapshot: VmSnapshot, after: 'Running' | 'Stopped', settings: Settings): void {
  if (vm.state === after || settings.flag('vmsnapshot.revert.change.state')) return
  throw new Problem(
    'refused',
    'revert-changes-state',
    `Virtual machine ${vm.name} is ${vm.state} and would be ${after} after the revert to ${snapshot.display_name}; bring it to ${after} first, or set vmsnapshot.revert.change.state`,
  )
}

/** The machine's disks, which must be those of the snapshot: none can be attached or detached while it has snapshots. */
async function disksNow(tx: Tx, vm: Vm, snapshot: VmSnapshot) {
  const [volumes, named] = [await volumesOf(tx, vm.id), await disksOf(tx, snapshot.id)]
  const places = (disks: readonly { id: VolumeId; place: number | null }[]) =>
    disks
      .map(({ id, place }) => `${id} ${place}`)
      .toSorted()
      .join()
  const isSame =
    places(volumes.map(({ id, device_id }) => ({ id, place: device_id }))) ===
    places(named.map(({ volume_id, device_id }) => ({ id: volume_id, place: device_id })))
  if (!isSame)
    throw new Problem(
      'refused',
      'disks-changed',
      `Virtual machine ${vm.name} has other disks than when VM snapshot ${snapshot.display_name} was taken; attach and detach volumes until they are the same`,
    )
  return volumes.map(({ id, layer_id, size_bytes }) => ({ volume: id, old: layer_id as LayerId, bytes: size_bytes }))
}

async function reserveDisks(tx: Tx, vm: Vm, snapshot: VmSnapshot): Promise<Begun['disks']> {
  const disks: Begun['disks'][number][] = []
  for (const { volume_id, layer_id, size_bytes } of await disksOf(tx, snapshot.id)) {
    const layer = newId<'layer'>()
    const { pool_id } = await tx
      .selectFrom('layer')
      .select('pool_id')
      .where('id', '=', layer_id)
      .executeTakeFirstOrThrow()
    await demandPoolServesDisks(tx, pool_id)
    await reserveLayer(tx, {
      id: layer,
      pool: pool_id,
      parent: layer_id,
      account: vm.account_id,
      virtualBytes: size_bytes,
      expectedBytes: 0,
    })
    disks.push({ volume: volume_id, old: layer_id, layer, bytes: size_bytes })
  }
  return disks
}

/** Said before anything is touched. */
async function demandFits({ db, driver, input }: StepContext<RevertToVmSnapshot, object>): Promise<void> {
  const snapshot = await vmSnapshotById(db, input.snapshot)
  if (!snapshot?.memory_image_id) throw new Error(`VM snapshot ${input.snapshot} has lost its memory image`)
  const reason = await driver.memory.fits(await memoryRef(db, snapshot.memory_image_id))
  if (reason)
    throw new Problem(
      'refused',
      'memory-does-not-fit',
      `The memory of VM snapshot ${snapshot.display_name} cannot be used here: ${reason}. Its disks can: revert with diskonly=true`,
    )
}

async function switchTo(
  { tx, input, settings }: Recording,
  { disks, withMemory }: Begun,
  facts: readonly LayerFacts[],
) {
  const snapshot = await holdVmSnapshot(tx, input.snapshot)
  for (const [index, { volume, layer, bytes }] of disks.entries()) {
    await publishLayer(tx, layer, facts[index] as LayerFacts)
    await setVolume(tx, volume, { layer_id: layer, size_bytes: bytes })
  }
  await makeCurrent(tx, input.vm, snapshot.id)
  // Memory goes on only in a machine of the sizes that it was saved from.
  const isOldSize = withMemory || settings.text('vmsnapshot.offering.change') === 'restore'
  await resize(tx, input.vm, isOldSize ? sizesOf(snapshot) : {}, newId())
}

async function switchBack({ tx, input, made }: Recording): Promise<void> {
  const { now, current, sizes, generation } = (made as Made).begin
  for (const { volume, old, bytes } of now) await setVolume(tx, volume, { layer_id: old, size_bytes: bytes })
  await makeCurrent(tx, input.vm, current)
  await resize(tx, input.vm, sizes, generation)
}

export async function resize(tx: Tx, vm: VmId, sizes: Partial<Sizes>, generation: string): Promise<void> {
  await setVm(tx, vm, { ...sizes, generation_id: generation })
  const { service_offering_id } = sizes
  if (!service_offering_id) return
  await tx
    .updateTable('volume')
    .set({ service_offering_id })
    .where('vm_id', '=', vm)
    .where('type', '=', 'ROOT')
    .execute()
}

const clockLimitMs = 10_000

async function run({ db, driver, settings, input }: StepContext<RevertToVmSnapshot, object>) {
  const snapshot = await vmSnapshotById(db, input.snapshot)
  const image = snapshot?.memory_image_id && (await memoryRef(db, snapshot.memory_image_id))
  if (!image) throw new Error(`VM snapshot ${input.snapshot} has lost its memory image`)
  const facts = await driver.machines.replace(
    await machineSpec(db, input.vm, settings.flag('guest.network.outward'), image),
  )
  return { facts, clock: await driver.machines.setClock(input.vm, clockLimitMs) }
}

/** What was not replaced after all is the machine as it was: the undo before this one leaves it running. */
async function unlessAsBefore(context: StepContext<RevertToVmSnapshot, object>): Promise<void> {
  const active = await context.driver.machines.activeLayers(context.input.vm)
  const { disks } = (context.made as Made).begin
  if (active && !disks.some(({ layer }) => [...active.values()].includes(layer))) return
  await runMachine.undo(context)
}
