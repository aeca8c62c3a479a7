// A layer is one disk file, immutable as soon as anything stands on it. The forest of layers is plain data, and what
// must happen when something goes is planned here by pure functions: the same answer twice, showable before it runs.
import type { LayerId } from './ids.ts'

export type LayerState = 'creating' | 'ready' | 'removing'

export interface Layer {
  readonly id: LayerId
  readonly parent: LayerId | null
  /** Named by something a person knows: a volume, a template's copy, later a snapshot. */
  readonly named: boolean
}

export type Forest = ReadonlyMap<LayerId, Layer>

export type RemovalStep = { readonly op: 'discard' | 'keep-hidden'; readonly layer: LayerId }

export function forestOf(layers: Iterable<Layer>): Forest {
  return new Map([...layers].map(layer => [layer.id, layer]))
}

export function childrenOf(forest: Forest, id: LayerId): Layer[] {
  return [...forest.values()].filter(layer => layer.parent === id)
}

/**
 * What must happen, in order, so that the name on layer `id` can go without any machine seeing a different disk.
 * A layer that something stands on stays, hidden. One that nothing needs is discarded, and then its parent too if
 * that was only kept for it. Nothing is ever merged up: a sibling would see its disk change (QEMU does not protect it).
 */
export function planRemoval(forest: Forest, id: LayerId): RemovalStep[] {
  const layer = forest.get(id)
  if (!layer) return []
  if (childrenOf(forest, id).length > 0) return [{ op: 'keep-hidden', layer: id }]
  const rest = new Map(forest)
  rest.delete(id)
  return [{ op: 'discard', layer: id }, ...cascade(rest, layer.parent)]
}

function cascade(forest: Forest, id: LayerId | null): RemovalStep[] {
  const layer = id && forest.get(id)
  if (!layer || layer.named || childrenOf(forest, layer.id).length > 0) return []
  return planRemoval(forest, layer.id)
}
