// A primary storage: its states, and what may be done on it in which. States are CloudStack's
// (api/src/main/java/com/cloud/storage/StoragePoolStatus.java); whether its folder is there is told beside them.

export type PoolState = 'Up' | 'Disabled' | 'PrepareForMaintenance' | 'Maintenance'

/** Each event and the moves it makes; what has no row is refused. */
export const poolMoves = {
  enable: { Disabled: 'Up', Up: 'Up' },
  disable: { Up: 'Disabled', Disabled: 'Disabled' },
  prepareMaintenance: { Up: 'PrepareForMaintenance', Disabled: 'PrepareForMaintenance' },
  enterMaintenance: { PrepareForMaintenance: 'Maintenance' },
  cancelMaintenance: { Maintenance: 'Up' },
} as const satisfies Record<string, Partial<Record<PoolState, PoolState>>>

export type PoolEvent = keyof typeof poolMoves

/** The state that `event` leads to from `state`, or null when there is no such move. */
export function poolAfter(state: PoolState, event: PoolEvent): PoolState | null {
  const moves: Partial<Record<PoolState, PoolState>> = poolMoves[event]
  return moves[state] ?? null
}

interface Pool {
  readonly state: PoolState
  readonly problem: string | null
}

/** New disks go only to a pool that is Up and answers. */
export function takesNewDisks({ state, problem }: Pool): boolean {
  return state === 'Up' && problem === null
}

/** Machines whose disks are there already also start while the pool is Disabled. */
export function servesDisks({ state, problem }: Pool): boolean {
  return (state === 'Up' || state === 'Disabled') && problem === null
}
