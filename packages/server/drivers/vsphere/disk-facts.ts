// Disks of a machine or snapshot as the server counts them: by place, with their files and what these occupy.
import type { DiskFacts } from '../forest.ts'
import { type Device, type DeviceChange, type Disk, chainOf, disksOf, folderOf } from './devices.ts'
import type { Vcenter } from './vcenter.ts'
import { readObject } from './vim25/properties.ts'
import type { Data, Ref } from './vim25/schema.ts'

type Layout = Data<'VirtualMachineFileLayoutEx'>

/** Of 16 units of a controller, one is its own. */
const unitsOfController = 15
const ownUnit = 7

/** Disks with their places, which they keep when another goes: 0 is the first, and each controller has fifteen. */
export function placedDisks(devices: readonly Device[] = []): { deviceId: number; disk: Disk }[] {
  const disks = disksOf(devices).toSorted((a, b) => a.key - b.key)
  const controllers = [...new Set(disks.map(({ controllerKey }) => controllerKey))]
  return disks.map((disk, at) => {
    const unit = disk.unitNumber ?? 0
    const rank = unit > ownUnit ? unit - 1 : unit
    const deviceId = at === 0 ? 0 : controllers.indexOf(disk.controllerKey) * unitsOfController + rank
    return { deviceId, disk }
  })
}

/** Puts a disk that is there at that place, on the controller of the root disk. */
export function addedDisk(devices: readonly Device[], fileName: string, deviceId: number): DeviceChange | null {
  const [root] = placedDisks(devices)
  if (root?.disk.controllerKey === undefined) return null
  const unitNumber = deviceId < ownUnit ? deviceId : deviceId + 1
  const backing = { is: 'VirtualDiskFlatVer2BackingInfo', fileName, diskMode: 'persistent' } as const
  const { controllerKey } = root.disk
  const device = { is: 'VirtualDisk', key: -1, backing, controllerKey, unitNumber, capacityInKB: 0 } as const
  return { operation: 'add', device }
}

export async function readDisks(vcenter: Vcenter, vm: Ref<'VirtualMachine'>): Promise<DiskFacts[]> {
  await vcenter.call(vm, 'RefreshStorageInfo', {})
  const paths = ['config.hardware.device', 'config.files.vmPathName', 'layoutEx'] as const
  const found = await readObject(vcenter.connection, vm, paths)
  const folder = folderOf(found['config.files.vmPathName'] ?? '')
  return diskFacts(found['config.hardware.device'], found.layoutEx, folder)
}

export function diskFacts(devices: readonly Device[] | undefined, layout: Layout | undefined, folder: string) {
  const files = new Map((layout?.file ?? []).map(each => [each.key, each]))
  return placedDisks(devices).map(({ deviceId, disk }): DiskFacts => {
    const chain = chainOf(disk)
    const units = layout?.disk?.find(({ key }) => key === disk.key)?.chain ?? []
    const own = units
      .flatMap(({ fileKey }) => fileKey ?? [])
      .map(key => files.get(key))
      .filter(file => file !== undefined && folderOf(file.name) === folder)
    return {
      key: String(disk.key),
      deviceId,
      virtualBytes: disk.capacityInBytes ?? disk.capacityInKB * 1024,
      allocatedBytes: own.reduce((sum, file) => sum + (file?.size ?? 0), 0),
      depth: chain.length,
      files: chain.toReversed(),
    }
  })
}
