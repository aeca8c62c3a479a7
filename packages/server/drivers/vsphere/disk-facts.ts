// Disks of a machine or snapshot as the server counts them: by place, with their files and what these occupy.
import type { DiskFacts } from '../forest.ts'
import { type Device, type Disk, chainOf, disksOf, folderOf } from './devices.ts'
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
