// The VM snapshot: a named node of a machine's tree, with one layer per disk and, of the type DiskAndMemory, its memory. States
// and moves are CloudStack's (api/src/main/java/com/cloud/vm/snapshot/VMSnapshot.java), without Hidden: who deletes a snapshot is rid
// of it at once; what stays hidden, as long as others stand on it, is its layer.

export type VmSnapshotState = 'Allocated' | 'Creating' | 'Ready' | 'Reverting' | 'Expunging' | 'Removed' | 'Error'

export type VmSnapshotType = 'Disk' | 'DiskAndMemory'

/** What became of the wish that the guest's file systems be quiet: null where nobody wished it. */
export type Quiesce = 'quiesced' | 'agent-missing' | 'failed'

/** How a linked clone of one is made (setting vmsnapshot.deploy.mode): on a flat copy of its root disk, or right on that disk. */
export const deployModes = ['seed', 'direct'] as const
export type DeployMode = (typeof deployModes)[number]

/** Each event and the moves it makes; an event that has no row for a state is refused and changes nothing. */
export const vmSnapshotMoves = {
  CreateRequested: { Allocated: 'Creating' },
  RevertRequested: { Ready: 'Reverting' },
  ExpungeRequested: { Allocated: 'Expunging', Ready: 'Expunging', Error: 'Expunging', Expunging: 'Expunging' },
  ExpungeRefused: { Expunging: 'Ready' },
  OperationSucceeded: { Creating: 'Ready', Reverting: 'Ready', Expunging: 'Removed' },
  OperationFailed: { Allocated: 'Error', Creating: 'Error', Reverting: 'Ready', Expunging: 'Error' },
} as const satisfies Record<string, Partial<Record<VmSnapshotState, VmSnapshotState>>>

export type VmSnapshotEvent = keyof typeof vmSnapshotMoves

/** The state that `event` leads to from `state`, or null when there is no such move. */
export function vmSnapshotAfter(state: VmSnapshotState, event: VmSnapshotEvent): VmSnapshotState | null {
  const moves: Partial<Record<VmSnapshotState, VmSnapshotState>> = vmSnapshotMoves[event]
  return moves[state] ?? null
}

/** Something is at work on such a snapshot; a machine has at most one of them. */
export const transientStates = [
  'Allocated',
  'Creating',
  'Reverting',
  'Expunging',
] as const satisfies readonly VmSnapshotState[]

export const allowedFrom = {
  revert: ['Ready'],
  delete: ['Ready', 'Error', 'Expunging', 'Allocated'],
  use: ['Ready'],
} as const satisfies Record<string, readonly VmSnapshotState[]>

export type VmSnapshotAction = keyof typeof allowedFrom

interface Named {
  readonly display_name: string
  readonly state: VmSnapshotState
}

/** Why `action` must wait, as a sentence for the user; null when it may go ahead. */
export function refusal({ display_name, state }: Named, action: VmSnapshotAction): string | null {
  const states: readonly VmSnapshotState[] = allowedFrom[action]
  if (states.includes(state)) return null
  const way = state === 'Error' ? '. One in Error can only be deleted' : ''
  return `VM snapshot ${display_name} is ${state}; ${action} is possible only when it is ${states.join(' or ')}${way}`
}

/** In which state a revert leaves the machine: memory continues, a disk alone does not. */
export function powerAfterRevert(type: VmSnapshotType): 'Running' | 'Stopped' {
  return type === 'DiskAndMemory' ? 'Running' : 'Stopped'
}

/** From half of the most a machine may have, people are told how many it has; null below that. */
export function warning(count: number, most: number): string | null {
  if (count * 2 < most) return null
  return `The machine has ${count} of at most ${most} VM snapshots (vmsnapshot.max); each makes its disks slower, so delete those that nobody needs`
}

/** The name that upstream gives: the machine's, and when it was taken in GMT. */
export function internalName(instanceName: string, taken: Date): string {
  return `${instanceName}_VS_${taken.toISOString().replaceAll(/\D/g, '').slice(0, 14)}`
}

export interface TreeNode<K> {
  readonly id: K
  readonly parent: K | null
  readonly isCurrent: boolean
}

/** What becomes of the tree when `id` goes: its children hang on its parent, which is current if it was. */
export function withoutNode<K>(tree: readonly TreeNode<K>[], id: K): TreeNode<K>[] {
  const gone = tree.find(node => node.id === id)
  if (!gone) return [...tree]
  return tree
    .filter(node => node !== gone)
    .map(node => ({
      ...node,
      parent: node.parent === id ? gone.parent : node.parent,
      isCurrent: node.isCurrent || (gone.isCurrent && node.id === gone.parent),
    }))
}
