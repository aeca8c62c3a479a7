// The virtual machine: its states, the moves between them, and what may be asked of it in which state.
// The moves are CloudStack's (api/src/main/java/com/cloud/vm/VirtualMachine.java). One table serves the server, which
// guards with it, and every user interface, which greys a button with it and shows the same sentence.

export const vmStates = [
  'Starting',
  'Running',
  'Stopping',
  'Stopped',
  'Destroyed',
  'Expunging',
  'Migrating',
  'Error',
  'Restoring',
] as const

export type VmState = (typeof vmStates)[number]

export const allowedFrom = {
  start: ['Stopped'],
  stop: ['Running', 'Stopped', 'Starting', 'Stopping'],
  reboot: ['Running'],
  destroy: ['Running', 'Stopped', 'Error', 'Destroyed'],
  expunge: ['Destroyed', 'Error', 'Expunging', 'Stopped'],
  recover: ['Destroyed'],
  migrate: ['Running'],
  restore: ['Running', 'Stopped'],
  scale: ['Stopped'],
  resetpassword: ['Stopped'],
  resetsshkey: ['Stopped'],
  regroup: ['Stopped'],
  update: ['Running', 'Stopped'],
  snapshot: ['Running', 'Stopped'],
  clone: ['Running', 'Stopped'],
  freeze: ['Running'],
  unfreeze: ['Stopped'],
  'revert of its volumes': ['Stopped'],
  'making a template of its disks': ['Stopped'],
  revert: ['Running', 'Stopped'],
  conversion: ['Running', 'Stopped'],
  consolidation: ['Running', 'Stopped'],
  changeiso: ['Running', 'Stopped'],
  attach: ['Running', 'Stopped'],
  detach: ['Running', 'Stopped'],
  resize: ['Running', 'Stopped'],
  'change of its NICs': ['Running', 'Stopped'],
  'migration of its disks': ['Stopped'],
  'download of its disks': ['Stopped'],
} as const satisfies Record<string, readonly VmState[]>

export type VmAction = keyof typeof allowedFrom

/** A frozen machine is Stopped, and a source for clones: nothing else is done with it until it goes on. Destroying it gives up its memory. */
const allowedFrozen: readonly VmAction[] = ['clone', 'unfreeze', 'destroy', 'expunge', 'recover', 'update']

/** Why `action` must wait, as a sentence for the user; null when it may go ahead. */
export function refusal(vm: { name: string; state: VmState; is_frozen?: boolean }, action: VmAction): string | null {
  if (vm.is_frozen && !allowedFrozen.includes(action))
    return `Virtual machine ${vm.name} is frozen, a source for clones; ${action} is possible after unfreezeVirtualMachine`
  if (!vm.is_frozen && action === 'unfreeze') return `Virtual machine ${vm.name} is not frozen, but ${vm.state}`
  const states: readonly VmState[] = allowedFrom[action]
  if (states.includes(vm.state)) return null
  return `Virtual machine ${vm.name} is ${vm.state}; ${action} is possible only when it is ${states.join(' or ')}`
}

/** Each event and the moves it makes; an event that has no row for a state is refused and changes nothing. */
export const vmMoves = {
  StartRequested: { Stopped: 'Starting' },
  StopRequested: { Stopped: 'Stopped', Running: 'Stopping', Stopping: 'Stopping', Starting: 'Stopping' },
  DestroyRequested: { Stopped: 'Destroyed', Destroyed: 'Destroyed', Error: 'Expunging' },
  ExpungeOperation: { Stopped: 'Expunging', Destroyed: 'Expunging', Expunging: 'Expunging', Error: 'Expunging' },
  RecoveryRequested: { Destroyed: 'Stopped' },
  RestoringRequested: { Stopped: 'Restoring' },
  RestoringSuccess: { Restoring: 'Stopped' },
  RestoringFailed: { Restoring: 'Stopped' },
  MigrationRequested: { Running: 'Migrating' },
  OperationSucceeded: { Starting: 'Running', Running: 'Running', Migrating: 'Running', Stopping: 'Stopped' },
  OperationFailed: {
    Stopped: 'Stopped',
    Starting: 'Stopped',
    Stopping: 'Running',
    Migrating: 'Running',
    Expunging: 'Expunging',
  },
  OperationFailedToError: { Stopped: 'Error', Starting: 'Error' },
  FollowAgentPowerOnReport: {
    Stopped: 'Running',
    Starting: 'Running',
    Running: 'Running',
    Stopping: 'Running',
    Migrating: 'Running',
  },
  FollowAgentPowerOffReport: {
    Stopped: 'Stopped',
    Starting: 'Stopped',
    Running: 'Stopped',
    Stopping: 'Stopped',
    Migrating: 'Stopped',
  },
} as const satisfies Record<string, Partial<Record<VmState, VmState>>>

export type VmEvent = keyof typeof vmMoves

/** The state that `event` leads to from `state`, or null when there is no such move. */
export function vmAfter(state: VmState, event: VmEvent): VmState | null {
  const moves: Partial<Record<VmState, VmState>> = vmMoves[event]
  return moves[state] ?? null
}

/** States in which a machine counts against its host's memory and CPU. */
export const occupyingStates = ['Starting', 'Running', 'Stopping', 'Migrating'] as const satisfies readonly VmState[]
