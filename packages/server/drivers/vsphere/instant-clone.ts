// Instant clones: copies of a running machine that share its memory and disks. Each one of a running source puts a file on each of the
// source's disks, and 255 files is the end, which the server tells by no fault of its own: so the depth is looked at before.
import { type GuestInfo, guestOptions, operationKey } from './clone-spec.ts'
import { type Device, type DeviceChange, cardsOf, chainOf, depthOf, disksOf, isShared } from './devices.ts'
import { madeBefore, makeOnce } from './make-once.ts'
import { problems, telling } from './problems.ts'
import type { RunOptions, Vcenter } from './vcenter.ts'
import { readObject } from './vim25/properties.ts'
import type { Data, Ref } from './vim25/schema.ts'

/** One of the 255 is the clone's own. */
export const deepest = 254

export interface InstantCloneRequest {
  readonly source: Ref<'VirtualMachine'>
  readonly name: string
  readonly folder: Ref
  readonly pool: Ref
  /** What the guest reads by its tools, such as its new address. */
  readonly guestInfo: GuestInfo
  /** Its cards are those of the source, unplugged: with their addresses it would be in the source's way. */
  readonly unplug?: boolean
  readonly operation: string
}

export interface InstantCloned {
  readonly vm: Ref<'VirtualMachine'>
  /** Did its source stand still, frozen from inside its guest? */
  readonly isOfFrozen: boolean
}

export function instantClone(
  vcenter: Vcenter,
  request: InstantCloneRequest,
  options?: RunOptions,
): Promise<InstantCloned> {
  return telling(request.name, async () => {
    if (!vcenter.features.instantClone) throw problems.unsupported('instant clones need a vCenter 6.7 or newer')
    const { source } = request
    const paths = ['name', 'config.hardware.device', 'runtime.instantCloneFrozen'] as const
    const [made, found] = await Promise.all([
      madeBefore(vcenter, request),
      readObject(vcenter.connection, source, paths),
    ])
    const { name = '', 'config.hardware.device': devices = [], 'runtime.instantCloneFrozen': frozen } = found
    const isOfFrozen = frozen === true
    if (made) return { vm: made, isOfFrozen }
    const depth = depthOf(devices)
    if (depth >= deepest && !isOfFrozen) throw problems.deltaLimit(name, depth)
    const spec = specOf(request, devices)
    const vm = await makeOnce(vcenter, request, () => vcenter.run(source, 'InstantClone_Task', { spec }, options))
    return { vm, isOfFrozen }
  })
}

function specOf(
  { name, folder, pool, guestInfo, operation, unplug }: InstantCloneRequest,
  devices: readonly Device[],
): Data<'VirtualMachineInstantCloneSpec'> {
  const config = [{ key: operationKey, value: operation }, ...guestOptions(guestInfo)]
  const deviceChange = unplug ? cardsOf(devices).map(unplugged) : []
  return { name, location: { folder, pool, deviceChange }, config }
}

function unplugged(card: Device): DeviceChange {
  const state = { startConnected: false, allowGuestControl: true, connected: false } as const
  return { operation: 'edit', device: { ...card, connectable: { migrateConnect: 'disconnect', ...state } } }
}

/** Gives a linked or instant clone disks of its own. Whether it has some is looked up: a server may stop half way. */
export function promoteDisks(
  vcenter: Vcenter,
  vm: Ref<'VirtualMachine'>,
  options?: RunOptions,
  isToBe: (devices: readonly Device[]) => boolean = standsOnOthers,
): Promise<void> {
  return telling('The machine', async () => {
    if (!vcenter.features.clone) throw problems.unsupported('only a vCenter promotes disks')
    const read = () => readObject(vcenter.connection, vm, ['config.hardware.device'])
    const isOpen = async () => isToBe((await read())['config.hardware.device'] ?? [])
    if (!(await isOpen())) return
    await vcenter.run(vm, 'PromoteDisks_Task', { unlink: true, disks: [] }, options)
    if (await isOpen()) throw problems.notReached('the machine stands on the same files')
  })
}

function standsOnOthers(devices: readonly Device[]): boolean {
  return disksOf(devices).some(disk => isShared(chainOf(disk)))
}
