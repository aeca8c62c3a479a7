// Virtual devices as plain data: which files a disk stands on, and what to change about the network cards.
import type { Data } from './vim25/schema.ts'
import type { Ref } from './vim25/schema.ts'

export type Device = Data<'VirtualDevice'>
export type Disk = Extract<Device, { is: 'VirtualDisk' }>
export type DeviceChange = Data<'VirtualDeviceConfigSpec'>

export function disksOf(devices: readonly Device[] = []): Disk[] {
  return devices.filter(each => each.is === 'VirtualDisk')
}

/** Network cards of any model, also of those that our schema does not have: it is the address that makes one. */
export function cardsOf(devices: readonly Device[] = []): (Device & { readonly macAddress?: string | undefined })[] {
  return devices.filter(each => 'macAddress' in each)
}

interface FileBacking {
  readonly fileName: string
  readonly parent?: FileBacking | undefined
}

/** The files of a disk, the one that is written first, what it stands on behind it. */
export function chainOf(disk: Disk): string[] {
  const { backing } = disk
  return backing && 'fileName' in backing ? filesOf(backing) : []
}

function filesOf({ fileName, parent }: FileBacking): string[] {
  return [fileName, ...(parent ? filesOf(parent) : [])]
}

/** `[datastore] folder` of a file. */
export function folderOf(file: string): string {
  return file.slice(0, file.lastIndexOf('/'))
}

/** Does a disk stand on a file of another machine? */
export function isShared([own = '', ...below]: readonly string[]): boolean {
  return below.some(file => folderOf(file) !== folderOf(own))
}

/** How many files the deepest disk consists of. */
export function depthOf(devices: readonly Device[]): number {
  return Math.max(0, ...disksOf(devices).map(disk => chainOf(disk).length))
}

/** Does a disk in independent mode stay out of snapshots? Then a linked clone has a copy of it. */
export function isIndependent({ backing }: Disk): boolean {
  return backing !== undefined && 'diskMode' in backing && backing.diskMode.startsWith('independent')
}

/** What a network card is plugged into, and the address that it shall have; without, the server chooses one. */
export type Plug = { readonly mac?: string } & (
  | { readonly network: Ref; readonly name: string }
  | { readonly switchUuid: string; readonly portgroupKey: string }
)

/** Takes all these cards away, and puts one into each of `plugs`. */
export function replaceCards(devices: readonly Device[], plugs: readonly Plug[]): DeviceChange[] {
  const removed = cardsOf(devices).map(card => ({ operation: 'remove', device: card }) as const)
  const added = plugs.map((plug, at) => ({ operation: 'add', device: newCard(plug, -1 - at) }) as const)
  return [...removed, ...added]
}

/** What makes the cards those of `plugs`, by address and network; nothing where they are. */
export function changeCards(devices: readonly Device[], plugs: readonly Plug[]): DeviceChange[] {
  const cards = cardsOf(devices)
  const wrong = cards.filter(card => !plugs.some(plug => isIn(card, plug)))
  const missing = plugs.filter(plug => !cards.some(card => isIn(card, plug)))
  return [
    ...wrong.map(device => ({ operation: 'remove', device }) as const),
    ...missing.map((plug, at) => ({ operation: 'add', device: newCard(plug, -1 - at) }) as const),
  ]
}

function isIn(card: Device & { readonly macAddress?: string | undefined }, plug: Plug): boolean {
  if (card.macAddress?.toLowerCase() !== plug.mac?.toLowerCase()) return false
  const { backing } = card
  if ('network' in plug) return backing !== undefined && 'network' in backing && backing.network === plug.network
  return backing !== undefined && 'port' in backing && backing.port.portgroupKey === plug.portgroupKey
}

/** The card with that address. */
export function cardOf(devices: readonly Device[], mac: string): Device | undefined {
  return cardsOf(devices).find(({ macAddress }) => macAddress?.toLowerCase() === mac.toLowerCase())
}

export function addedCard(plug: Plug): DeviceChange {
  return { operation: 'add', device: newCard(plug, -1) }
}

function newCard(plug: Plug, key: number): Device {
  return {
    is: 'VirtualVmxnet3',
    key,
    backing: backingOf(plug),
    connectable: { startConnected: true, allowGuestControl: true, connected: true },
    ...(plug.mac === undefined ? { addressType: 'assigned' } : { addressType: 'manual', macAddress: plug.mac }),
  }
}

function backingOf(plug: Plug): Data<'VirtualDeviceBackingInfo'> {
  if ('network' in plug)
    return { is: 'VirtualEthernetCardNetworkBackingInfo', deviceName: plug.name, network: plug.network }
  const { switchUuid, portgroupKey } = plug
  return { is: 'VirtualEthernetCardDistributedVirtualPortBackingInfo', port: { switchUuid, portgroupKey } }
}

/** Takes disks away without touching their files. */
export function withoutDisks(disks: readonly Disk[]): DeviceChange[] {
  return disks.map(device => ({ operation: 'remove', device }) as const)
}
