// Shortens the chains of a machine's disks, while it runs or not: what they show of layers that nobody names is copied upwards, at a
// bounded pace (consolidation.mibps), and those of these layers that carried nothing else go. What a VM snapshot names stays.
import { type Flattening, planConsolidation } from '@ramet/core/chain.ts'
import { type LayerId, newId, type VmId } from '@ramet/core/ids.ts'
import { layersHeldBy, linksOf } from '../store/chains.ts'
import type { Db } from '../store/database.ts'
import { setCloneType, vmLock } from '../store/vms.ts'
import { giveUpKept } from './drop-fork.ts'
import { defineJob, nothing } from './define-job.ts'
import { forestOf, noteDisks } from './forest-machine.ts'
import { holdForFlattening, demandRoom, flatten, publishFlattened } from './flatten.ts'
import { originOf } from './tools.ts'

export interface ConsolidateVm {
  readonly vm: VmId
  /** Also layers that others stand on, and so stay: this makes chains shorter, and takes space. */
  readonly evenShared: boolean
}

export const consolidateVm = defineJob<ConsolidateVm>({
  kind: 'consolidate-vm',
  event: 'VM.CONSOLIDATE',
  doing: 'consolidating the disks of virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: true,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
})
  .record('plan', {
    do: async ({ tx, input, driver, settings, jobs, job }) => {
      await giveUpKept(tx, input.vm, jobs, originOf(job))
      const vm = await holdForFlattening(tx, input.vm, 'consolidation', driver)
      const found = await planOfConsolidation(tx, vm.id, input.evenShared)
      await demandRoom(tx, settings, found.plan)
      return { ...found, ...(driver.forest && { operation: newId<'operation'>() }) }
    },
    undo: nothing('it changes nothing'),
  })
  .actWhen('copy', {
    when: made => made.plan.plan.length > 0,
    weight: 98, // so that the job is as far as its bytes are
    do: context => {
      const mib = context.settings.number('consolidation.mibps')
      return flatten(context, context.made.plan.plan, mib === 0 ? null : mib * 2 ** 20)
    },
    undo: nothing('disks that hold more than they must show the same'),
  })
  .actWhen('shorten', {
    when: made => made.plan.operation !== undefined,
    weight: 98,
    do: ({ driver, input, made, progress, signal }) =>
      forestOf(driver).shorten(input.vm, made.plan.operation ?? '', { progress, signal }),
    undo: nothing('shorter disks show the same'),
  })
  .record('publish', {
    do: async context => {
      const { tx, input, made } = context
      if (made.shorten) await noteDisks(tx, input.vm, made.shorten.disks)
      if (made.shorten?.way === 'promote') await setCloneType(tx, input.vm, 'full')
      await publishFlattened(context, made.plan.plan, made.copy ?? [])
    },
    undo: nothing('nothing follows it'),
  })
  .returning(({ plan, shorten }) => ({ outcome: shorten ? ways[shorten.way ?? 'none'] : outcomeOf(plan) }))

/** What the hypervisor did that keeps the disks. */
const ways = {
  none: 'there was nothing to consolidate; files that VM snapshots name stay',
  merge: 'what clones had left was merged',
  promote: 'machines stand on what was left: it was copied, and stays for them',
}

export interface Consolidation {
  readonly plan: readonly Flattening[]
  /** Layers in the way that VM snapshots name. */
  readonly kept: number
  /** These VM snapshots; absent in jobs that an earlier version began. */
  readonly snapshots?: readonly string[]
}

export async function planOfConsolidation(db: Db, vm: VmId, evenShared: boolean): Promise<Consolidation> {
  const held = await layersHeldBy(db, vm)
  const plan: Flattening[] = []
  const kept = new Set<LayerId>()
  const names = new Set<string>()
  for (const { layer } of held.filter(({ snapshot }) => snapshot === null)) {
    const chain = await linksOf(db, vm, layer)
    plan.push(...planConsolidation(chain, evenShared))
    for (const { id, snapshots } of chain)
      for (const name of snapshots) {
        kept.add(id)
        names.add(name)
      }
  }
  return { plan, kept: kept.size, snapshots: [...names] }
}

/** For the event log. */
export function outcomeOf({ plan, kept, snapshots = [] }: Consolidation): string {
  const gone = plan.reduce((sum, { between }) => sum + between.length, 0)
  const [some, more] = [snapshots.slice(0, 5).join(', '), snapshots.length > 5 ? ', …' : '']
  const stays =
    kept > 0
      ? [
          `${kept} stay: VM snapshots name them (${some}${more}), and they cannot be consolidated before these are deleted`,
        ]
      : []
  return [`${gone} layers fewer`, ...stays].join('; ')
}
