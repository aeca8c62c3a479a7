// What conversions and consolidations have in common: layers of one machine's disks that get what they show of those below them
// (core/chain.ts), while the machine runs or not. Each disk shows the same at every moment, so nothing has to be undone: a merge
// that was cut short is finished by a repeat.
import type { Flattening } from '@ramet/core/chain.ts'
import type { VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Driver, LayerFacts } from '../drivers/driver.ts'
import type { Settings } from '../settings.ts'
import type { Tx } from '../store/database.ts'
import { holdChainsOf } from '../store/chains.ts'
import { standOn } from '../store/layers.ts'
import { holdRoomOn } from '../store/volume-pools.ts'
import { demandAction, holdVm, type Vm } from '../store/vms.ts'
import type { VmAction } from '@ramet/core/vm.ts'
import type { RecordContext, StepContext } from './define-job.ts'
import { mergeLayers } from './merge-layers.ts'
import { removeIfUnneeded } from './remove-layer.ts'
import { originOf } from './tools.ts'
import { placementFactors } from './vm-steps.ts'

/** Holds the machine, and its layers against others who want to stand on them, until the transaction ends. */
export async function holdForFlattening(tx: Tx, id: VmId, action: VmAction, driver: Driver): Promise<Vm> {
  const vm = await holdVm(tx, id)
  demandAction(vm, action)
  if (vm.state === 'Running' && !driver.capabilities.liveMerge)
    throw new Problem('refused', 'cannot-merge-live', `Virtual machine ${vm.name} runs; stop it first`)
  await holdChainsOf(tx, id)
  return vm
}

/** Throws where a pool has no room for what is going to be copied. */
export async function demandRoom(tx: Tx, settings: Settings, plan: readonly Flattening[]): Promise<void> {
  for (const { into, bytes } of plan) {
    const { pool_id } = await tx.selectFrom('layer').select('pool_id').where('id', '=', into).executeTakeFirstOrThrow()
    await holdRoomOn(tx, placementFactors(settings), pool_id, bytes)
  }
}

/** One after the other, from the base up; tells how many of all bytes are done. */
export async function flatten(
  context: StepContext<unknown, unknown>,
  plan: readonly Flattening[],
  bytesPerSecond: number | null,
): Promise<LayerFacts[]> {
  const total = Math.max(1, bytesIn(plan))
  const facts: LayerFacts[] = []
  let before = 0
  for (const { into, onto, bytes } of plan) {
    const progress = (percent: number) => context.progress((100 * before + percent * bytes) / total)
    facts.push(await mergeLayers(context, into, onto, progress, bytesPerSecond))
    before += bytes
  }
  return facts
}

/** From here on each stands where the plan says; what nobody needs any more goes by jobs of its own. */
export async function publishFlattened(
  { tx, jobs, job }: RecordContext<unknown, unknown>,
  plan: readonly Flattening[],
  facts: readonly LayerFacts[],
): Promise<void> {
  for (const [index, { into, onto }] of plan.entries()) await standOn(tx, into, onto, facts[index] as LayerFacts)
  const origin = { ...originOf(job), command: 'removeLayer' }
  for (const { between } of plan) {
    const [top] = between.slice(-1)
    if (top) await removeIfUnneeded(tx, top, jobs, origin)
  }
}

export function bytesIn(plan: readonly Flattening[]): number {
  return plan.reduce((sum, { bytes }) => sum + bytes, 0)
}
