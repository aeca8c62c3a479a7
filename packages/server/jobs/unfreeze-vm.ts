// Lets a frozen machine go on from the instant at which it stood still. It runs on new layers, so that a failure leaves the frozen one as it
// was. Where its memory is lost, for that was in the memory of a host that has restarted, it is left stopped, and boots from its disks.
import { type ForkId, type LayerId, type MemoryImageId, newId, type VmId, type VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { LayerFacts } from '../drivers/driver.ts'
import type { Tx } from '../store/database.ts'
import { demandNoClones, disksOfFork, type Fork, forkOfFrozen, setFork } from '../store/forks.ts'
import { forgetLayer, layerRef, publishLayer, reserveLayer } from '../store/layers.ts'
import { memoryRef } from '../store/memory-images.ts'
import { demandAction, holdVm, setVm, type Vm, vmLock } from '../store/vms.ts'
import { setVolume, volumesOf } from '../store/volumes.ts'
import { forkDisks, unforkDisks } from './cut-disks.ts'
import { defineJob, nothing, type RecordContext, type StepContext } from './define-job.ts'
import { dropForkIfUnneeded } from './drop-fork.ts'
import { machineSpec } from './machine-spec.ts'
import { removeIfUnneeded } from './remove-layer.ts'
import { originOf } from './tools.ts'
import { noteRunning, runMachine, takeHost } from './vm-steps.ts'

export interface UnfreezeVm {
  readonly vm: VmId
}

export const unfreezeVm = defineJob<UnfreezeVm>({
  kind: 'unfreeze-vm',
  event: 'VM.UNFREEZE',
  doing: 'unfreezing virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: false,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
})
  .record('begin', {
    do: begin,
    undo: async ({ tx, made }) => {
      for (const { layer } of (made as Made).begin.disks) await forgetLayer(tx, layer)
    },
  })
  .act('look', {
    do: look,
    undo: nothing('it only looks'),
  })
  .act('fork', {
    do: context => forkDisks(context, context.made.begin.disks),
    undo: context => unforkDisks(context, context.made.begin.disks),
  })
  .record('switch', {
    do: async context => {
      const { begin: begun, look: found, fork } = context.made
      await switchTo(context.tx, begun, fork)
      await setVm(context.tx, context.input.vm, { is_frozen: false })
      if (found.hasMemory) await takeHost.do({ ...context, input: { ...context.input, host: begun.host ?? undefined } })
    },
    undo: async context => {
      const { state } = await holdVm(context.tx, context.input.vm)
      if (state === 'Starting') await takeHost.undo(context)
      await setVm(context.tx, context.input.vm, { is_frozen: true })
      for (const { volume, now } of (context.made as Made).begin.disks)
        await setVolume(context.tx, volume, { layer_id: now })
    },
  })
  .actWhen('run', {
    when: made => made.look.hasMemory,
    do: async ({ db, driver, settings, input, made }) => {
      const image = await memoryRef(db, made.begin.memory as MemoryImageId)
      const spec = await machineSpec(db, input.vm, settings.flag('guest.network.outward'), image)
      return driver.machines.start(spec)
    },
    undo: runMachine.undo,
  })
  .record('finish', {
    do: async context => {
      const { tx, made, jobs, job } = context
      if (made.run) await noteRunning(context, made.run)
      await setFork(tx, made.begin.fork, { is_frozen: false })
      await dropForkIfUnneeded(context, made.begin.fork)
      const origin = { ...originOf(job), command: 'removeLayer' }
      for (const { now } of made.begin.disks) await removeIfUnneeded(tx, now, jobs, origin)
    },
    undo: nothing('nothing follows it'),
  })
  .returning(made => ({
    outcome: made.look.hasMemory ? '' : 'its memory was lost with its host; it boots from its disks',
  }))

interface Begun {
  readonly fork: ForkId
  readonly memory: MemoryImageId | null
  /** Where its memory is. */
  readonly host: Vm['last_host_id']
  /** `old` is the frozen layer, `now` the empty one above it, `layer` the one that it is to write. */
  readonly disks: readonly { volume: VolumeId; old: LayerId; now: LayerId; layer: LayerId; bytes: number }[]
}

type Made = { readonly begin: Begun }

async function begin({ tx, input }: RecordContext<UnfreezeVm, object>): Promise<Begun> {
  const vm = await holdVm(tx, input.vm)
  demandAction(vm, 'unfreeze')
  const fork = await forkOfFrozen(tx, vm.id)
  if (!fork) throw new Error(`machine ${vm.id} is frozen, but in no fork`)
  await demandNoClones(tx, fork, vm.name)
  const host = vm.last_host_id
  return { fork: fork.id, memory: fork.memory_image_id, host, disks: await reserveDisks(tx, vm, fork) }
}

async function reserveDisks(tx: Tx, vm: Vm, fork: Fork): Promise<Begun['disks']> {
  const volumes = await volumesOf(tx, vm.id)
  const disks: Begun['disks'][number][] = []
  for (const { volume_id: volume, layer_id: old, size_bytes: bytes } of await disksOfFork(tx, fork.id)) {
    const now = volumes.find(({ id }) => id === volume)?.layer_id
    if (!now) throw new Error(`machine ${vm.id} has lost volume ${volume} while it was frozen`)
    const [layer, { pool }] = [newId<'layer'>(), await layerRef(tx, old)]
    const account = vm.account_id
    await reserveLayer(tx, { id: layer, pool: pool.id, parent: old, account, virtualBytes: bytes, expectedBytes: 0 })
    disks.push({ volume, old, now, layer, bytes })
  }
  return disks
}

async function look({ db, driver, made }: StepContext<UnfreezeVm, Made>): Promise<{ hasMemory: boolean }> {
  const image = made.begin.memory && (await memoryRef(db, made.begin.memory))
  if (!image || !(await driver.memory.facts(image))) return { hasMemory: false }
  const reason = await driver.memory.fits(image)
  if (reason === null) return { hasMemory: true }
  throw new Problem(
    'refused',
    'memory-does-not-fit',
    `The memory of the frozen machine cannot be used here: ${reason}. Its disks can: clone it with clonetype=full`,
  )
}

async function switchTo(tx: Tx, { disks }: Begun, facts: readonly LayerFacts[]): Promise<void> {
  for (const [index, { volume, layer }] of disks.entries()) {
    await publishLayer(tx, layer, facts[index] as LayerFacts)
    await setVolume(tx, volume, { layer_id: layer })
  }
}
