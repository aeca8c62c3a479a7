// A layer is one disk file, immutable as soon as anything stands on it. The forest of layers is plain data, and what
// must happen when something goes is planned here by pure functions: the same answer twice, showable before it runs.
//
//   template's copy <- A <- B <- web's disk        A, B: named by VM snapshots
//                        \- C
// Without its name, C is discarded; B is merged down into web's disk, which gets what it lacks; A carries two and stays, hidden.
import type { LayerId } from './ids.ts'

export type LayerState = 'creating' | 'ready' | 'removing'

export interface Layer {
  readonly id: LayerId
  readonly parent: LayerId | null
  /** Named by something a person knows: a volume, a VM snapshot's disk, the copy of a template or of a VM snapshot. */
  readonly named: boolean
  /** An account's layer may be merged into the one that stands on it. A copy that many are cloned from is never (docs/decisions/0008). */
  readonly owned: boolean
  /** What its file occupies. */
  readonly bytes: number
}

/** The longest chain that a new disk may make: each layer makes reading slower. */
export const mostLayers = 16

export type Forest = ReadonlyMap<LayerId, Layer>

export type RemovalStep =
  | { readonly op: 'discard'; readonly layer: LayerId }
  | { readonly op: 'keep-hidden'; readonly layer: LayerId }
  | { readonly op: 'merge'; readonly layer: LayerId; readonly into: LayerId }

export function forestOf(layers: Iterable<Layer>): Forest {
  return new Map([...layers].map(layer => [layer.id, layer]))
}

export function childrenOf(forest: Forest, id: LayerId): Layer[] {
  return [...forest.values()].filter(layer => layer.parent === id)
}

/**
 * What must happen, in order, so that the name on layer `id` can go without any machine seeing a different disk.
 * With two children or more the layer stays, hidden. With one it is merged down into that child, which then stands on what the
 * layer stood on. With none it is discarded, and then its parent is looked at the same way, if that was kept only for
 * it. Nothing is ever merged up: a sibling would see its disk change (QEMU does not protect it).
 */
export function planRemoval(forest: Forest, id: LayerId): RemovalStep[] {
  const layer = forest.get(id)
  if (!layer) return []
  const [child, ...others] = childrenOf(forest, id)
  if (!child) {
    const rest = without(forest, id)
    return [{ op: 'discard', layer: id }, ...cascade(rest, layer.parent)]
  }
  if (others.length > 0 || !layer.owned) return [{ op: 'keep-hidden', layer: id }]
  return [
    { op: 'merge', layer: id, into: child.id },
    { op: 'discard', layer: id },
  ]
}

function cascade(forest: Forest, id: LayerId | null): RemovalStep[] {
  const layer = id && forest.get(id)
  if (!layer || layer.named) return []
  return planRemoval(forest, layer.id).filter(({ op }) => op !== 'keep-hidden')
}

/** The forest after the plan: who was merged into stands where the merged one stood. */
export function afterRemoval(forest: Forest, plan: readonly RemovalStep[]): Forest {
  return plan.reduce((now, step) => {
    if (step.op === 'keep-hidden') return now
    return step.op === 'discard' ? without(now, step.layer) : merged(now, step.layer, step.into)
  }, forest)
}

function merged(forest: Forest, from: LayerId, into: LayerId): Forest {
  const [parent, child] = [forest.get(from), forest.get(into)]
  if (!parent || !child) return forest
  // At most: where both hold something, the child's own stays.
  return new Map(forest).set(into, { ...child, parent: parent.parent, bytes: child.bytes + parent.bytes })
}

function without(forest: Forest, id: LayerId): Forest {
  const rest = new Map(forest)
  rest.delete(id)
  return rest
}

/** The forest when `ids` have lost their names, as a plan for many layers needs it. */
export function unnamed(forest: Forest, ids: readonly LayerId[]): Forest {
  return forestOf([...forest.values()].map(layer => (ids.includes(layer.id) ? { ...layer, named: false } : layer)))
}

/** What a plan costs and brings: bytes that are copied, and bytes of the files that go. */
export function costOf(forest: Forest, plan: readonly RemovalStep[]): { movedBytes: number; freedBytes: number } {
  const sum = (op: RemovalStep['op']) =>
    plan.filter(step => step.op === op).reduce((total, { layer }) => total + (forest.get(layer)?.bytes ?? 0), 0)
  const movedBytes = sum('merge')
  return { movedBytes, freedBytes: Math.max(0, sum('discard') - movedBytes) }
}
