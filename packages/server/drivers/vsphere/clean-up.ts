// Makes the disks of a machine shorter whose instant clones had it leave files behind (docs/decisions/0038). Where nobody stands on those files, a
// snapshot is taken and removed, and vSphere merges what is left: that moves what the files hold. Where somebody does, the disks are
// promoted: all that they show is copied into files of their own, and the old files stay for whoever reads them.
import type { Device } from './devices.ts'
import { promoteDisks } from './instant-clone.ts'
import type { MachineRef } from './ours.ts'
import { problems, telling } from './problems.ts'
import { readSnapshots, removeSnapshot, takeSnapshot } from './snapshots.ts'
import { ownFiles, standingOn } from './standing-on.ts'
import type { RunOptions, Vcenter } from './vcenter.ts'
import { readObject } from './vim25/properties.ts'

export type WayToShorten = 'merge' | 'promote'

/** How it was done; null: there is nothing to be done. `operation` names the act. */
export function shortenDisks(
  vcenter: Vcenter,
  vm: MachineRef,
  operation: string,
  options?: RunOptions,
): Promise<WayToShorten | null> {
  return telling('The machine', async () => {
    const files = ownFiles(await devicesOf(vcenter, vm))
    const snapshots = (await readSnapshots(vcenter, vm)).filter(({ id }) => id !== operation)
    if (Math.max(0, ...files.map(({ length }) => length - 1)) <= snapshots.length) return null
    const left = files.flatMap(([, ...below]) => below)
    const above = await standingOn(vcenter, vm, new Set(left))
    if (above === null) await mergeDisks(vcenter, vm, operation, options)
    else if (snapshots.length > 0) throw problems.snapshotsInTheWay(snapshots.length, above)
    else await promoteDisks(vcenter, vm, options, hasDeltas)
    return above === null ? 'merge' : 'promote'
  })
}

function hasDeltas(devices: readonly Device[]): boolean {
  return ownFiles(devices).some(({ length }) => length > 1)
}

/** Removes no snapshot but its own: somebody may take one meanwhile. */
export async function mergeDisks(
  vcenter: Vcenter,
  vm: MachineRef,
  operation: string,
  options?: RunOptions,
): Promise<void> {
  const wish = { id: operation, name: 'ramet-fork', memory: false, quiesce: false, isFork: true }
  const { ref } = await takeSnapshot(vcenter, vm, wish, options)
  await removeSnapshot(vcenter, vm, ref, false, options)
  await vcenter.run(vm, 'ConsolidateVMDisks_Task', {}, options)
}

async function devicesOf({ connection }: Vcenter, vm: MachineRef) {
  return (await readObject(connection, vm, ['config.hardware.device']))['config.hardware.device'] ?? []
}
