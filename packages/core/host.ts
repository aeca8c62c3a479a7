// The host: whether it answers, and whether it is in use. The moves are CloudStack's (com/cloud/resource/ResourceState.java).

export type HostState = 'Up' | 'Down'

export type HostResourceState = 'Enabled' | 'Disabled' | 'PrepareForMaintenance' | 'ErrorInMaintenance' | 'Maintenance'

const moves = {
  Enable: { Disabled: 'Enabled', Enabled: 'Enabled' },
  Disable: { Enabled: 'Disabled', Disabled: 'Disabled' },
  AdminAskMaintenance: {
    Enabled: 'PrepareForMaintenance',
    Disabled: 'PrepareForMaintenance',
    ErrorInMaintenance: 'PrepareForMaintenance',
  },
  InternalEnterMaintenance: { PrepareForMaintenance: 'Maintenance' },
  UnableToMaintain: { PrepareForMaintenance: 'ErrorInMaintenance' },
  AdminCancelMaintenance: { Maintenance: 'Enabled', ErrorInMaintenance: 'Enabled', PrepareForMaintenance: 'Enabled' },
} as const satisfies Record<string, Partial<Record<HostResourceState, HostResourceState>>>

export type HostEvent = keyof typeof moves

/** The state that `event` leads to from `state`, or null when there is no such move. */
export function hostAfter(state: HostResourceState, event: HostEvent): HostResourceState | null {
  const leads: Partial<Record<HostResourceState, HostResourceState>> = moves[event]
  return leads[state] ?? null
}

const wishes = {
  Enable: 'enabled',
  Disable: 'disabled',
  AdminAskMaintenance: 'brought into maintenance',
  InternalEnterMaintenance: 'in maintenance',
  UnableToMaintain: 'given up',
  AdminCancelMaintenance: 'taken back from maintenance',
} as const satisfies Record<HostEvent, string>

/** Why the host cannot make that move, as a sentence for the user. */
export function hostRefusal({ name, state }: { name: string; state: HostResourceState }, event: HostEvent): string {
  const from = Object.keys(moves[event]).join(' or ')
  return `Host ${name} is ${state}; it can be ${wishes[event]} only when it is ${from}`
}
