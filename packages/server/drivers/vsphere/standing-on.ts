// Does a disk of another machine stand on these files? vSphere keeps what it knows to be shared, but a file that is gone is somebody's
// machine that is gone, so we look first.
import type { DiskFacts } from '../forest.ts'
import { type Device, chainOf, disksOf, folderOf } from './devices.ts'
import type { MachineRef } from './ours.ts'
import type { Vcenter } from './vcenter.ts'
import { readObject, readObjects } from './vim25/properties.ts'
import type { Ref } from './vim25/schema.ts'

/** The files that hold what was written up to a snapshot. */
export function frozenFiles(disks: readonly DiskFacts[]): Set<string> {
  return new Set(disks.flatMap(({ files }) => files.at(-1) ?? []))
}

/** The files that go with a machine, disk by disk. */
export function ownFiles(devices: readonly Device[]): string[][] {
  return disksOf(devices)
    .map(chainOf)
    .map(chain => chain.filter(file => folderOf(file) === folderOf(chain[0] ?? '')))
}

/** The name of another machine that stands on one of these files. */
export async function standingOn(vcenter: Vcenter, vm: MachineRef, files: ReadonlySet<string>): Promise<string | null> {
  const { datastore = [] } = await readObject(vcenter.connection, vm, ['datastore'])
  return machineWith(vcenter, datastore as Ref<'Datastore'>[], files, vm)
}

/** The name of a machine with disks on these datastores that has, or stands on, one of the files. */
export async function machineWith(
  { connection }: Vcenter,
  datastores: readonly Ref<'Datastore'>[],
  files: ReadonlySet<string>,
  except?: MachineRef,
): Promise<string | null> {
  const stores = await readObjects(connection, 'Datastore', datastores, ['vm']) // the inventory may not know the latest
  const others = new Set([...stores.values()].flatMap(store => store.vm ?? []))
  if (except) others.delete(except)
  const paths = ['name', 'config.hardware.device'] as const
  for (const [, found] of await readObjects(connection, 'VirtualMachine', [...others], paths)) {
    const stands = disksOf(found['config.hardware.device']).some(disk => chainOf(disk).some(file => files.has(file)))
    if (stands) return found.name ?? ''
  }
  return null
}
