// The volume: its states and the moves between them (api/src/main/java/com/cloud/storage/Volume.java), and where in a machine it
// may be plugged in. A volume that nobody uses has no machine; one that was never used has no disk yet either.

export const volumeStates = [
  'Allocated',
  'Creating',
  'Ready',
  'Attaching',
  'Resizing',
  'Migrating',
  'Destroy',
  'Expunging',
  'Expunged',
  'NotUploaded',
  'UploadInProgress',
  'Uploaded',
  'UploadError',
  'Copying',
] as const

export type VolumeState = (typeof volumeStates)[number]

export type VolumeType = 'ROOT' | 'DATADISK'

/** Each event and the moves it makes; an event that has no row for a state is refused and changes nothing. */
export const volumeMoves = {
  CreateRequested: { Allocated: 'Creating' },
  CopyRequested: { Uploaded: 'Copying' },
  AttachRequested: { Ready: 'Attaching' },
  ResizeRequested: { Ready: 'Resizing' },
  MigrationRequested: { Ready: 'Migrating' },
  UploadRequested: { NotUploaded: 'UploadInProgress' },
  OperationSucceeded: {
    Allocated: 'Allocated',
    Ready: 'Ready',
    Creating: 'Ready',
    Copying: 'Ready',
    Attaching: 'Ready',
    Resizing: 'Ready',
    Migrating: 'Ready',
    UploadInProgress: 'Uploaded',
  },
  OperationFailed: {
    Creating: 'Allocated',
    Copying: 'Uploaded',
    Attaching: 'Ready',
    Resizing: 'Ready',
    Migrating: 'Ready',
    NotUploaded: 'UploadError',
    UploadInProgress: 'UploadError',
  },
  DestroyRequested: {
    Allocated: 'Destroy',
    Ready: 'Destroy',
    NotUploaded: 'Destroy',
    Uploaded: 'Destroy',
    UploadError: 'Destroy',
    Destroy: 'Destroy',
  },
  ExpungingRequested: { Destroy: 'Expunged' },
} as const satisfies Record<string, Partial<Record<VolumeState, VolumeState>>>

export type VolumeEvent = keyof typeof volumeMoves

/** The state that `event` leads to from `state`, or null when there is no such move. */
export function volumeAfter(state: VolumeState, event: VolumeEvent): VolumeState | null {
  const moves: Partial<Record<VolumeState, VolumeState>> = volumeMoves[event]
  return moves[state] ?? null
}

/** What a volume that comes back is: it may have been destroyed before its first use. */
export function stateAfterRecovery(volume: { layer_id: unknown; install_path: unknown; error: unknown }): VolumeState {
  if (volume.layer_id) return 'Ready'
  if (volume.install_path) return 'Uploaded'
  return volume.error ? 'UploadError' : 'Allocated'
}

/** What makes a volume's disk, or plugs it in, at its attachment. */
export const attachEvents = {
  Allocated: 'CreateRequested',
  Uploaded: 'CopyRequested',
  Ready: 'AttachRequested',
} as const satisfies Partial<Record<VolumeState, VolumeEvent>>

export function attachEvent(state: VolumeState): VolumeEvent | null {
  const events: Partial<Record<VolumeState, VolumeEvent>> = attachEvents
  return events[state] ?? null
}

/** 0 is the root disk's; 3 is kept for the CD-ROM, as everywhere in CloudStack. */
export const cdromDeviceId = 3

/** The place for a disk: the one asked for, or the first free one; or why there is none. */
export function choosePlace(
  taken: readonly (number | null)[],
  highest: number,
  wanted?: number | null,
): { readonly deviceId: number } | { readonly refusal: string } {
  if (wanted !== undefined && wanted !== null) return judgePlace(taken, highest, wanted)
  for (let deviceId = 1; deviceId <= highest; deviceId += 1)
    if (deviceId !== cdromDeviceId && !taken.includes(deviceId)) return { deviceId }
  return { refusal: `has all its ${highest - 1} places for data disks taken; detach one first` }
}

function judgePlace(taken: readonly (number | null)[], highest: number, wanted: number) {
  if (wanted === cdromDeviceId)
    return { refusal: `keeps place ${cdromDeviceId} for its CD-ROM; choose another deviceid` }
  if (wanted > highest) return { refusal: `has places up to ${highest}; choose a smaller deviceid` }
  if (taken.includes(wanted)) return { refusal: `has another disk at place ${wanted}; choose another deviceid` }
  return { deviceId: wanted }
}
