// Makes a full clone of a linked one, in place: whatever its disks and VM snapshots show of layers that others may use too is copied
// into the lowest layer of its own, while it runs or not. Machine, disks and VM snapshots keep their ids, and show what they showed.
// Afterwards nothing of it stands on a template's copy, which can go when nobody else does (docs/decisions/0024).
import { type Flattening, planIndependence } from '@ramet/core/chain.ts'
import type { LayerId, VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { layersHeldBy, linksOf } from '../store/chains.ts'
import type { Db } from '../store/database.ts'
import { setCloneType, vmLock } from '../store/vms.ts'
import { defineJob, nothing } from './define-job.ts'
import { giveUpKept } from './drop-fork.ts'
import { forestOf, noteDisks } from './forest-machine.ts'
import { holdForFlattening, demandRoom, flatten, publishFlattened } from './flatten.ts'
import { leaveSeeds } from './kept-seeds.ts'
import { originOf } from './tools.ts'

export interface ConvertVm {
  readonly vm: VmId
}

export const convertVm = defineJob<ConvertVm>({
  kind: 'convert-vm',
  event: 'VM.CONVERT',
  doing: 'converting virtual machine to a full clone',
  instanceType: 'VirtualMachine',
  cancellable: true,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
})
  .record('plan', {
    do: async ({ tx, input, driver, settings, jobs, job }) => {
      await giveUpKept(tx, input.vm, jobs, originOf(job))
      const vm = await holdForFlattening(tx, input.vm, 'conversion', driver)
      const plan = await planOfConversion(tx, vm)
      await demandRoom(tx, settings, plan)
      return { plan, isKept: driver.forest !== null }
    },
    undo: nothing('it changes nothing'),
  })
  .actWhen('copy', {
    when: made => made.plan.plan.length > 0,
    weight: 98, // so that the job is as far as its bytes are
    do: context => flatten(context, context.made.plan.plan, null),
    undo: nothing('disks that hold more than they must show the same'),
  })
  .actWhen('promote', {
    when: made => made.plan.isKept,
    weight: 98,
    do: ({ driver, input, progress, signal }) => forestOf(driver).flatten(input.vm, { progress, signal }),
    undo: nothing('a disk that stands on nothing of others shows the same'),
  })
  .record('publish', {
    do: async context => {
      const { tx, input, made } = context
      if (made.promote) await noteDisks(tx, input.vm, made.promote.disks)
      await leaveSeeds(tx, input.vm, context.jobs, originOf(context.job))
      await publishFlattened(context, made.plan.plan, made.copy ?? [])
      await setCloneType(tx, input.vm, 'full')
    },
    undo: nothing('nothing follows it'),
  })

/** Disks and VM snapshots of one machine mostly share their lowest layer: it is copied into once. */
export async function planOfConversion(db: Db, { id, name }: { id: VmId; name: string }): Promise<Flattening[]> {
  const plan = new Map<LayerId, Flattening>()
  for (const { layer, snapshot } of await layersHeldBy(db, id)) {
    const chain = await linksOf(db, id, layer)
    if (!chain.at(-1)?.exclusive) throw isShared(name, snapshot)
    const step = planIndependence(chain)
    if (step) plan.set(step.into, step)
  }
  return [...plan.values()]
}

function isShared(vm: string, snapshot: string | null): Problem {
  const text = `VM snapshot ${snapshot ?? '(of a disk)'} of ${vm} carries disks of other machines, so it stays on what they share. Delete it, or convert these machines first`
  return new Problem('refused', 'vm-snapshot-shared', text)
}
