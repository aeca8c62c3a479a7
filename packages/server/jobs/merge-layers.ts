// Merging layers, whoever has them open: under a running machine its own process does it, else a tool. Either way every disk shows
// what it showed, at each moment: what the lower layers hold is added to the upper one, never taken away before that is whole.
import type { LayerId } from '@ramet/core/ids.ts'
import type { LayerFacts, Merge, Progress } from '../drivers/driver.ts'
import { diskOver } from '../store/layer-removal.ts'
import { layerChain, layerRef } from '../store/layers.ts'
import type { StepContext } from './define-job.ts'
import { diskOf, ownerOfLayer } from './machine-spec.ts'

export async function mergeLayers(
  { db, driver, signal }: Pick<StepContext<unknown, unknown>, 'db' | 'driver' | 'signal'>,
  into: LayerId,
  onto: LayerId | null,
  progress: Progress,
  bytesPerSecond: number | null = null,
): Promise<LayerFacts> {
  const [to, on, over] = await Promise.all([layerRef(db, into), onto && layerRef(db, onto), diskOver(db, into)])
  const merge: Merge = { into: to, onto: on, bytesPerSecond }
  const isLive = over && (await driver.machines.merge(over.vm, await diskOf(db, over.volume), merge, progress, signal))
  if (!isLive)
    return driver.layers.merge(await layerChain(db, into), merge, await ownerOfLayer(db, into), progress, signal)
  const facts = await driver.layers.facts(to)
  if (!facts) throw new Error(`layer ${into} is gone after the merge`)
  return facts
}
