// A machine of a hypervisor that keeps its own disks, as its driver wants it described; and what is noted of the disks that it has there.
import type { NicId, VmId, VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Driver, HostRef } from '../drivers/driver.ts'
import type { DiskFacts, Forest, ForestMachine, Plug } from '../drivers/forest.ts'
import type { Db, Tx } from '../store/database.ts'
import { hostOfVm } from '../store/hosts.ts'
import { nicsOf, vmById } from '../store/vms.ts'
import { setVolume, volumesOf } from '../store/volumes.ts'
import { firstBootOf, isoRef } from './machine-spec.ts'

/** On the host that it has been given, or on `host`. */
export async function forestMachine(db: Db, id: VmId, host?: HostRef): Promise<ForestMachine> {
  const [vm, nics, there] = await Promise.all([vmById(db, id), nicsOf(db, id), host ?? hostOfVm(db, id)])
  if (!vm) throw new Problem('invalid', 'unknown-vm', `There is no virtual machine ${id}`)
  if (!there)
    throw new Problem('internal', 'vm-without-host', `Virtual machine ${vm.name} was given no host to start on`)
  return {
    vm: id,
    host: { id: there.id, name: there.name },
    name: vm.instance_name,
    cpus: vm.cpus,
    memoryMib: vm.memory_mib,
    plugs: nics.map(plugOf),
    cdrom: vm.iso_id && (await isoRef(db, vm.iso_id)),
    firstBoot: await firstBootOf(db, vm),
  }
}

/** The NIC as the hypervisor wants it described. */
export function plugOf({
  device_id: deviceId,
  mac,
  foreign_name,
  id,
}: Awaited<ReturnType<typeof nicsOf>>[number]): Plug {
  if (foreign_name !== null) return { deviceId, mac, network: foreign_name }
  throw new Problem('unavailable', 'nic-elsewhere', `The network of NIC ${id} is none of its hypervisor's; try again`)
}

export async function cardOf(db: Db, vm: VmId, id: NicId): Promise<Plug> {
  const nic = (await nicsOf(db, vm)).find(each => each.id === id)
  if (!nic) throw new Problem('invalid', 'unknown-nic', `Virtual machine ${vm} has no NIC ${id}`)
  return plugOf(nic)
}

/** The moves on nodes of the job's hypervisor; a Problem where that has none. */
export function forestOf({ forest }: Driver): Forest {
  if (!forest) throw new Problem('internal', 'no-forest', 'The hypervisor does not keep its own disks')
  return forest
}

/** What the hypervisor tells of the machine's disks; one of no volume of ours is passed over. */
export async function noteDisks(tx: Tx, vm: VmId, disks: readonly DiskFacts[]): Promise<void> {
  for (const volume of await volumesOf(tx, vm)) {
    const disk = disks.find(({ deviceId }) => deviceId === volume.device_id)
    if (disk) await setVolume(tx, volume.id, kept(volume.id, disk))
  }
}

/** A disk that came by the volume's id goes by it too, and its key is that; others are parts of their machine. */
export function kept(volume: VolumeId, { key, files, allocatedBytes, depth, virtualBytes }: DiskFacts) {
  const isOwn = files[0]?.endsWith(`/${volume}.vmdk`) ?? false
  return {
    disk_key: isOwn ? volume : key,
    disk_bytes: allocatedBytes,
    disk_depth: depth,
    size_bytes: virtualBytes,
  }
}
