// Data disks of ours: files of their own in a folder of each datastore, by our ids, outside the folders of machines. So they stay when a
// machine goes, and whatever a first try made is found by its name.
import type { DataDisk } from '../forest-devices.ts'
import { type Cluster } from './cluster.ts'
import { type Device, type Disk, chainOf, disksOf } from './devices.ts'
import { problems } from './problems.ts'
import type { MachineRef } from './ours.ts'
import { machineWith } from './standing-on.ts'
import type { Vcenter } from './vcenter.ts'
import { isFault } from './vim25/faults.ts'
import { readObject } from './vim25/properties.ts'
import type { Ref } from './vim25/schema.ts'

const folder = 'Ramet-volumes'

export function fileOf({ id, pool }: DataDisk): string {
  return `[${pool.path}] ${folder}/${id}.vmdk`
}

/** The machine's device for it, whatever VM snapshots put upon it. */
export function deviceOf(devices: readonly Device[], disk: DataDisk): Disk | undefined {
  return disksOf(devices).find(each => chainOf(each).at(-1) === fileOf(disk))
}

/** Disks of ours that nothing stands on: those that outlive a machine. */
export function ownDataDisks(devices: readonly Device[]): Disk[] {
  return disksOf(devices).filter(each => {
    const [file = '', ...below] = chainOf(each)
    return below.length === 0 && file.includes(`] ${folder}/`)
  })
}

export function hasDataDisks(devices: readonly Device[]): boolean {
  return disksOf(devices).some(each => chainOf(each).at(-1)?.includes(`] ${folder}/`))
}

/** What a VM snapshot left upon a data disk would go with the machine; upon another machine's, as an instant clone has it, it may. */
export async function demandNoRest(vcenter: Vcenter, vm: MachineRef, devices: readonly Device[]): Promise<void> {
  const bases = disksOf(devices).flatMap(disk => {
    const [, ...below] = chainOf(disk)
    return below.at(-1)?.includes(`] ${folder}/`) ? below.slice(-1) : []
  })
  const { datastore = [] } = await readObject(vcenter.connection, vm, ['datastore'])
  for (const base of bases)
    if ((await machineWith(vcenter, datastore as Ref<'Datastore'>[], new Set([base]), vm)) === null)
      throw problems.diskInSnapshot()
}

export async function makeDisk(cluster: Cluster, disk: DataDisk, bytes: number): Promise<void> {
  const { vcenter, datacenter } = cluster
  const { virtualDiskManager, fileManager } = vcenter.connection.content
  cluster.datastoreNamed(disk.pool.path)
  const name = `[${disk.pool.path}] ${folder}`
  const there = { name, datacenter, createParentDirectories: false }
  await unless('FileAlreadyExists', () => vcenter.call(fileManager!, 'MakeDirectory', there))
  const capacityKb = Math.ceil(bytes / 1024)
  const spec = { is: 'FileBackedVirtualDiskSpec', diskType: 'thin', adapterType: 'lsiLogic', capacityKb } as const
  const asked = { name: fileOf(disk), datacenter, spec }
  await unless('FileAlreadyExists', () => vcenter.run(virtualDiskManager!, 'CreateVirtualDisk_Task', asked))
}

export async function discardDisk(cluster: Cluster, disk: DataDisk): Promise<void> {
  const { vcenter, datacenter } = cluster
  await demandLoose(cluster, disk)
  const { virtualDiskManager } = vcenter.connection.content
  const asked = { name: fileOf(disk), datacenter }
  await unless('FileNotFound', () => vcenter.run(virtualDiskManager!, 'DeleteVirtualDisk_Task', asked))
}

/** No machine has it, but perhaps `except`. */
export async function demandLoose(cluster: Cluster, disk: DataDisk, except?: Parameters<typeof machineWith>[3]) {
  const store = cluster.datastoreNamed(disk.pool.path)
  const owner = await machineWith(cluster.vcenter, [store], new Set([fileOf(disk)]), except)
  if (owner !== null) throw problems.diskInUse(owner)
}

async function unless(fault: 'FileAlreadyExists' | 'FileNotFound', act: () => Promise<unknown>): Promise<void> {
  try {
    await act()
  } catch (error) {
    if (!isFault(error, fault)) throw error
  }
}
