// Removes a disk layer that nobody names any more, then whatever it was the last to stand on. One that nothing stands on is
// discarded. One that carries a single other is merged down into that (merge-layers.ts). Other jobs that let go of a layer
// share two halves: `removeIfUnneeded`, `forgetLayerAndAncestors`. Where the hypervisor keeps its own disks, the only layers are seeds.
import type { JobId, LayerId } from '@ramet/core/ids.ts'
import type { LayerFacts } from '../drivers/driver.ts'
import type { Tx } from '../store/database.ts'
import { removalOf } from '../store/layer-removal.ts'
import { forgetLayer, holdLayer, layerChain, layerRefIfAny, markRemoving, standOn } from '../store/layers.ts'
import { defineJob, nothing, type RecordContext, type StepContext } from './define-job.ts'
import { mergeLayers } from './merge-layers.ts'
import { type JobOrigin, type JobStarter, originOf } from './tools.ts'
import { uncut } from './uncut.ts'

export interface RemoveLayer {
  readonly layer: LayerId
  /** Of those who stand on the layer, where it is to be merged: whatever else they do waits. */
  readonly lock?: string
}

export const removeLayer = defineJob<RemoveLayer>({
  kind: 'remove-layer',
  event: 'LAYER.DELETE',
  doing: 'removing disk layer that nothing needs any more',
  instanceType: 'None',
  cancellable: false,
  lock: input => input.lock ?? `layer:${input.layer}`,
  instance: input => input.layer,
})
  .record('mark', {
    do: mark,
    undo: nothing('a layer that nobody names is of no use; removing it is tried again'),
  })
  .actWhen('merge', {
    when: ({ mark: found }) => found?.op === 'merge',
    weight: 96, // so that the job is as far as its bytes are
    do: merge,
    undo: nothing('a layer that holds more than it must shows the same; the rest is merged the next time'),
  })
  .record('hand-on', {
    do: async ({ tx, input, made }) => {
      const { mark: found, merge: facts } = made
      if (found?.op !== 'merge' || !facts) return
      const chain = await layerChain(tx, found.into)
      await standOn(tx, found.into, chain.at(-3)?.id ?? null, facts)
      await markRemoving(tx, input.layer)
    },
    undo: nothing('the layer above holds everything by now'),
  })
  .actWhen('discard', {
    when: ({ mark: found }) => found !== null,
    do: async ({ db, driver, input }) => {
      if (driver.forest) return driver.forest.unseed({ kind: 'seed', id: input.layer })
      const layer = await layerRefIfAny(db, input.layer)
      if (layer) await driver.layers.discard(layer)
    },
    undo: nothing('a deleted file cannot be brought back; the layer stays marked and doctor names it'),
  })
  .record('forget', {
    do: async ({ tx, input, made, jobs, job }) => {
      if (made.mark) await forgetLayerAndAncestors(tx, input.layer, jobs, originOf(job))
    },
    undo: nothing('nothing follows it'),
  })

/** Looked at once more: since the job was asked for, the layer may have got a name, or stand in other hands. */
async function mark(context: RecordContext<RemoveLayer, object>) {
  const { tx, input } = context
  await holdLayer(tx, input.layer)
  const removal = await removalOf(tx, input.layer)
  if (removal?.op === 'merge') {
    if (removal.lock !== input.lock) return null
    const unused = await uncut(context, input.layer)
    if (unused) await removeIfUnneeded(tx, unused, context.jobs, originOf(context.job))
    return unused ? null : removal
  }
  if (removal) await markRemoving(tx, input.layer)
  return removal
}

type Marked = { readonly mark: Awaited<ReturnType<typeof mark>> }

async function merge(context: StepContext<RemoveLayer, Marked>): Promise<LayerFacts> {
  const { db, made, progress } = context
  if (made.mark?.op !== 'merge') throw new Error('there is nothing to merge')
  const { into } = made.mark
  const chain = await layerChain(db, into)
  return mergeLayers(context, into, chain.at(-3)?.id ?? null, progress)
}

/** Deletes the record of a layer whose files are gone, and starts the removal of a parent that was kept only for it. */
export async function forgetLayerAndAncestors(tx: Tx, id: LayerId, jobs: JobStarter, origin: JobOrigin): Promise<void> {
  const layer = await holdLayer(tx, id)
  if (!layer) return
  // The parent's row is held first: of two children that go at once, the second sees that it was the last.
  const parent = layer.parent_id && (await holdLayer(tx, layer.parent_id))
  await forgetLayer(tx, id)
  if (parent) await removeIfUnneeded(tx, parent.id, jobs, origin)
}

/**
 * Starts the removal of a layer that has lost its name, if something can be done about it now; else it stays, hidden: null.
 */
export async function removeIfUnneeded(
  tx: Tx,
  id: LayerId,
  jobs: JobStarter,
  origin: JobOrigin,
): Promise<JobId | null> {
  await holdLayer(tx, id)
  const removal = await removalOf(tx, id)
  if (!removal) return null
  const lock = removal.op === 'merge' ? { lock: removal.lock } : {}
  return jobs.start(tx, removeLayer, { layer: id, ...lock }, origin)
}
