// Cards and data disks of machines whose hypervisor keeps its own disks, while they run or are off. As everywhere in the contract: same
// arguments, same end state.
import type { VmId, VolumeId } from '@ramet/core/ids.ts'
import type { PoolRef } from './driver.ts'
import type { DiskFacts, Plug } from './forest.ts'

/** A disk of ours: a file of its own on a pool, by our id, whether a machine has it or not. */
export interface DataDisk {
  readonly id: VolumeId
  readonly pool: PoolRef
}

export interface ForestDevices {
  plug(vm: VmId, card: Plug): Promise<void>
  unplug(vm: VmId, card: Plug): Promise<void>
  /** The disk is there, empty, and no machine has it. One that is there is left alone. */
  makeDisk(disk: DataDisk, bytes: number): Promise<void>
  /** Where another machine has it: 'in-use' (disk-in-use). */
  attachDisk(vm: VmId, disk: DataDisk, deviceId: number): Promise<DiskFacts>
  /** Its file stays. 'in-use' (disk-in-snapshot) while a VM snapshot stands on it. */
  detachDisk(vm: VmId, disk: DataDisk): Promise<void>
  /** Makes the machine's disk at that place larger; 'refused' where it stands on another file. */
  growDisk(vm: VmId, deviceId: number, bytes: number): Promise<DiskFacts>
  /** The file goes; 'in-use' (disk-in-use) while a machine has it. */
  discardDisk(disk: DataDisk): Promise<void>
}
