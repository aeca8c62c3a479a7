// Machines that are not there yet: for each a process that waits, made for one memory image, under the ids that the clone will have. A clone
// with these ids starts in what it takes to open its disks and to load the state of its devices; everything else was done before.
import type { MemoryImageId, VmId } from '@ramet/core/ids.ts'
import type { MachineSpec } from './driver.ts'

export interface Warm {
  /**
   * Makes a process wait to become the clone that is described; `machines.start` uses it where it is told the same, but for the name, the
   * chains of the disks and the first boot, which it is told then. Where it cannot be used, or is gone, the machine starts as others do.
   * Processes that wait are no machines: they are listed nowhere, and end with the server, or when its successor starts.
   */
  prepare(spec: MachineSpec): Promise<void>
  /** Ends what waits under that id; a machine is left alone. */
  end(vm: VmId): Promise<void>
  /** Those that wait now, and for which image. */
  waiting(): ReadonlyMap<VmId, MemoryImageId>
}
