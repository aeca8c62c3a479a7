// What is asked of vCenter for a clone: a pure function of what the source was and what is wanted.
import { type Device, type Plug, disksOf, isIndependent, replaceCards, withoutDisks } from './devices.ts'
import type { Data, Ref } from './vim25/schema.ts'

/** Where our name for the act that made a machine stands in the machine itself, so that a repeat finds it. */
export const operationKey = 'ramet.operation'

/** Each key without `guestinfo.`. */
export type GuestInfo = Readonly<Record<string, string>>

export function guestOptions(told: GuestInfo = {}): Data<'OptionValue'>[] {
  return Object.entries(told).map(([key, value]) => ({ key: `guestinfo.${key}`, value }))
}

export interface CloneRequest {
  readonly source: Ref<'VirtualMachine'>
  /** The source's, at the snapshot where there is one; absent: they are read. */
  readonly devices?: readonly Device[]
  /** Clone the state of that snapshot; a linked clone must. */
  readonly snapshot: Ref<'VirtualMachineSnapshot'> | null
  readonly kind: 'full' | 'linked'
  readonly name: string
  readonly folder: Ref
  readonly datastore: Ref
  readonly pool: Ref
  readonly host: Ref
  readonly cpus?: number
  readonly memoryMib?: number
  /** The cards that it shall have, in place of the source's. */
  readonly plugs: readonly Plug[]
  /** Keys of the disks that it shall have; all without. */
  readonly disks?: readonly number[]
  readonly customization?: Data<'CustomizationSpec'> | undefined
  /** Ours, one for each clone; a repeat has the same. */
  readonly operation: string
  /** What vCenter shall know it by; a clone that somebody makes of it later has another. */
  readonly instanceUuid?: string
  /** What its guest reads by the tools. */
  readonly guestInfo?: GuestInfo
}

/** Copies to the end, sharing nothing: `moveAllDiskBackingsAndAllowSharing` would leave parents under a "full" clone. */
const copy = 'moveAllDiskBackingsAndDisallowSharing'
const child = 'createNewChildDiskBacking'

export function cloneSpec(request: CloneRequest, devices: readonly Device[]): Data<'VirtualMachineCloneSpec'> {
  const { datastore, pool, host, kind, snapshot, disks: wanted, cpus, memoryMib, customization } = request
  const disks = disksOf(devices)
  const unwanted = wanted ? disks.filter(({ key }) => !wanted.includes(key)) : []
  const apart = kind === 'linked' ? disks.filter(disk => isIndependent(disk) && !unwanted.includes(disk)) : []
  return {
    location: {
      datastore,
      diskMoveType: kind === 'linked' ? child : copy,
      pool,
      host,
      disk: apart.map(({ key }) => ({ diskId: key, datastore, diskMoveType: copy })),
    },
    template: false,
    config: {
      instanceUuid: request.instanceUuid,
      numCPUs: cpus,
      memoryMB: memoryMib,
      deviceChange: [...withoutDisks(unwanted), ...replaceCards(devices, request.plugs)],
      extraConfig: [{ key: operationKey, value: request.operation }, ...guestOptions(request.guestInfo)],
    },
    customization,
    powerOn: false,
    snapshot: snapshot ?? undefined,
  }
}
