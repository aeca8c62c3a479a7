// The states of a durable job and the moves between them. A wrong move is a bug, and says so.

export type JobState = 'queued' | 'running' | 'undoing' | 'stuck' | 'done' | 'failed' | 'cancelled'

const next = {
  queued: ['running', 'cancelled'],
  running: ['running', 'queued', 'undoing', 'done'], // back to queued: it waits for another job
  undoing: ['undoing', 'failed', 'cancelled', 'stuck'],
  stuck: ['undoing'], // an operator asked for another try
  done: [],
  failed: [],
  cancelled: [],
} as const satisfies Record<JobState, readonly JobState[]>

export function mayMove(from: JobState, to: JobState): boolean {
  const states: readonly JobState[] = next[from]
  return states.includes(to)
}

/** The states from which a job may come to `to`: what a compare-and-set demands. */
export function statesBefore(to: JobState): JobState[] {
  return (Object.keys(next) as JobState[]).filter(from => mayMove(from, to))
}

export function isFinished(state: JobState): boolean {
  return next[state].length === 0
}

/** CloudStack's number: 0 pending, 1 done, 2 failed, 3 cancelled. A stuck job is pending: its objects are not settled. */
export function jobStatusNumber(state: JobState): 0 | 1 | 2 | 3 {
  if (state === 'done') return 1
  if (state === 'failed') return 2
  return state === 'cancelled' ? 3 : 0
}
