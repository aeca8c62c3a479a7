// The volume snapshot: a volume as it was once, as a file of its own on secondary storage. States and moves are CloudStack's
// (engine/storage/snapshot/.../SnapshotStateMachineManagerImpl.java), without those of copies that stay on primary storage.

export type SnapshotState = 'Allocated' | 'Creating' | 'BackingUp' | 'BackedUp' | 'Destroying' | 'Destroyed' | 'Error'

/** Each event and the moves it makes; an event that has no row for a state is refused and changes nothing. */
export const snapshotMoves = {
  CreateRequested: { Allocated: 'Creating' },
  BackupToSecondary: { Creating: 'BackingUp', BackingUp: 'BackingUp' },
  OperationSucceeded: { BackingUp: 'BackedUp', Destroying: 'Destroyed' },
  OperationFailed: { Allocated: 'Error', Creating: 'Error', BackingUp: 'Error', Destroying: 'BackedUp' },
  DestroyRequested: { BackedUp: 'Destroying', Destroying: 'Destroying', Error: 'Destroying' },
} as const satisfies Record<string, Partial<Record<SnapshotState, SnapshotState>>>

export type SnapshotEvent = keyof typeof snapshotMoves

/** Something is at work on such a snapshot; its machine can have no VM snapshot taken meanwhile. */
export const snapshotsAtWork = ['Allocated', 'Creating', 'BackingUp'] as const satisfies readonly SnapshotState[]

/** Why the snapshot cannot be used for anything now, as a sentence; null when it can. */
export function useRefusal({ name, state }: { name: string; state: SnapshotState }): string | null {
  return state === 'BackedUp' ? null : `Snapshot ${name} is ${state}; it can be used only when it is BackedUp`
}
