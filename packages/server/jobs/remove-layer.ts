// Removes a disk layer that nothing stands on and nobody names any more, then whatever it was the last to stand on.
// Other jobs that let go of a layer share the two halves: `letGoOfLayer` and `forgetLayerAndAncestors`.
import type { LayerId } from '@ramet/core/ids.ts'
import { planRemoval } from '@ramet/core/layer.ts'
import type { Tx } from '../store/database.ts'
import { forestOfPool, forgetLayer, holdLayer, layerRefIfAny, markRemoving } from '../store/layers.ts'
import { defineJob, nothing } from './define-job.ts'
import { type JobOrigin, type JobStarter, originOf } from './tools.ts'

export interface RemoveLayer {
  readonly layer: LayerId
}

export const removeLayer = defineJob<RemoveLayer>({
  kind: 'remove-layer',
  event: 'LAYER.DELETE',
  doing: 'removing disk layer that nothing needs any more',
  instanceType: 'None',
  cancellable: false,
  lock: input => `layer:${input.layer}`,
  instance: input => input.layer,
})
  .record('mark', {
    do: async ({ tx, input }) => markRemoving(tx, input.layer),
    undo: nothing('a layer that nobody names is of no use; removing it is tried again'),
  })
  .act('discard', {
    do: async ({ db, driver, input }) => {
      const layer = await layerRefIfAny(db, input.layer)
      if (layer) await driver.layers.discard(layer)
    },
    undo: nothing('a deleted file cannot be brought back; the layer stays marked and doctor names it'),
  })
  .record('forget', {
    do: async ({ tx, input, jobs, job }) => forgetLayerAndAncestors(tx, input.layer, jobs, originOf(job)),
    undo: nothing('nothing follows it'),
  })

/** Deletes the record of a layer whose files are gone, and starts the removal of a parent that was kept only for it. */
export async function forgetLayerAndAncestors(tx: Tx, id: LayerId, jobs: JobStarter, origin: JobOrigin): Promise<void> {
  const layer = await holdLayer(tx, id)
  if (!layer) return
  // The parent's row is held first: of two children that go at once, the second sees that it was the last.
  const parent = layer.parent_id && (await holdLayer(tx, layer.parent_id))
  await forgetLayer(tx, id)
  if (parent) await removeIfUnneeded(tx, parent.id, jobs, origin)
}

/** Starts the removal of a layer that has lost its name, unless something stands on it: then it stays, hidden. */
export async function removeIfUnneeded(tx: Tx, id: LayerId, jobs: JobStarter, origin: JobOrigin): Promise<void> {
  const layer = await holdLayer(tx, id)
  if (!layer) return
  const forest = await forestOfPool(tx, layer.pool_id)
  if (forest.get(id)?.named) return
  const [first] = planRemoval(forest, id)
  if (first?.op === 'discard') await jobs.start(tx, removeLayer, { layer: id }, origin)
}
