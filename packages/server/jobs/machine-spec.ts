// A machine as the driver wants it described, gathered from the database.
import type { LayerId, NicId, TemplateId, VmId, VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { DiskSpec, FirstBoot, IsoRef, MachineSpec, MemoryImageRef, NicSpec, Owner } from '../drivers/driver.ts'
import type { Db } from '../store/database.ts'
import { layerChain } from '../store/layers.ts'
import { specOf } from '../store/networks.ts'
import { imageFile } from '../store/templates.ts'
import { nicsOf, type Vm } from '../store/vms.ts'
import { type Volume, volumesOf } from '../store/volumes.ts'

/**
 * `outward`: whether the guest may open connections to the world (setting guest.network.outward). `memory`: what it goes on from,
 * instead of booting.
 */
export async function machineSpec(
  db: Db,
  id: VmId,
  outward: boolean,
  memory: MemoryImageRef | null = null,
): Promise<MachineSpec> {
  const [vm, disks, nics] = await Promise.all([placedVm(db, id), diskSpecs(db, id), nicSpecs(db, id, outward)])
  if (!vm) throw new Problem('invalid', 'unknown-vm', `There is no virtual machine ${id}`)
  if (!vm.host_id)
    throw new Problem('internal', 'vm-without-host', `Virtual machine ${vm.name} was given no host to start on`)
  return {
    vm: id,
    host: { id: vm.host_id, name: vm.host_name as string },
    name: vm.instance_name,
    owner: { accountNumber: vm.account_number },
    cpus: vm.cpus,
    memoryMib: vm.memory_mib,
    generationId: vm.generation_id,
    disks,
    nics,
    memory,
    cdrom: vm.iso_id && (await isoRef(db, vm.iso_id)),
    firstBoot: await firstBootOf(db, vm),
  }
}

/** What the machine is told at its first boot. */
export async function firstBootOf(db: Db, vm: Vm): Promise<FirstBoot> {
  const keys = db.selectFrom('vm_ssh_key_pair').select('public_key').where('vm_id', '=', vm.id).orderBy('name')
  return {
    instanceId: seedId(vm),
    hostname: vm.name,
    sshKeys: (await keys.execute()).map(key => key.public_key),
    passwordHash: vm.password_hash,
    userData: vm.user_data ? Buffer.from(vm.user_data, 'base64') : null,
  }
}

/** The machine with its host, where it has one, and the number of its account. */
function placedVm(db: Db, id: VmId) {
  return db
    .selectFrom('vm')
    .innerJoin('account', 'account.id', 'vm.account_id')
    .leftJoin('host', 'host.id', 'vm.host_id')
    .selectAll('vm')
    .select(['account.number as account_number', 'host.name as host_name'])
    .where('vm.id', '=', id)
    .executeTakeFirst()
}

/** A guest whose seed names another instance than the one it knows customises itself anew. */
export function seedId({ id, seed_version: version }: Vm): string {
  return version === 0 ? id : `${id}-${version}`
}

async function diskSpecs(db: Db, vm: VmId): Promise<[DiskSpec, ...DiskSpec[]]> {
  const [root, ...data] = await Promise.all((await volumesOf(db, vm)).map(volume => diskSpec(db, volume)))
  if (root?.deviceId !== 0)
    throw new Problem('refused', 'vm-without-disk', `Virtual machine ${vm} has no root disk; attach one as deviceid 0`)
  return [root, ...data]
}

/** The volume as its machine's disk. */
export async function diskOf(db: Db, id: VolumeId): Promise<DiskSpec> {
  return diskSpec(db, await db.selectFrom('volume').selectAll().where('id', '=', id).executeTakeFirstOrThrow())
}

async function diskSpec(db: Db, { id, layer_id, device_id, name }: Volume): Promise<DiskSpec> {
  if (!layer_id) throw new Problem('refused', 'volume-without-disk', `Volume ${name} has no disk yet`)
  return { deviceId: device_id ?? 0, chain: await layerChain(db, layer_id), serial: id.replaceAll('-', '') }
}

/** Whose files the volume's layers are. */
export async function ownerOf(db: Db, volume: VolumeId): Promise<Owner> {
  const { number } = await db
    .selectFrom('account')
    .innerJoin('volume', 'volume.account_id', 'account.id')
    .select('account.number')
    .where('volume.id', '=', volume)
    .executeTakeFirstOrThrow()
  return { accountNumber: number }
}

export async function ownerOfLayer(db: Db, layer: LayerId): Promise<Owner> {
  const { number } = await db
    .selectFrom('account')
    .innerJoin('layer', 'layer.account_id', 'account.id')
    .select('account.number')
    .where('layer.id', '=', layer)
    .executeTakeFirstOrThrow()
  return { accountNumber: number }
}

export async function isoRef(db: Db, id: TemplateId): Promise<IsoRef> {
  return { id, file: (await imageFile(db, id)).file }
}

/** The NIC as its machine's network card. */
export async function nicOf(db: Db, vm: VmId, id: NicId, outward: boolean): Promise<NicSpec> {
  const nic = (await nicsOf(db, vm)).find(each => each.id === id)
  if (!nic) throw new Problem('invalid', 'unknown-nic', `Virtual machine ${vm} has no NIC ${id}`)
  return nicSpec(nic, outward)
}

async function nicSpecs(db: Db, vm: VmId, outward: boolean): Promise<NicSpec[]> {
  return (await nicsOf(db, vm)).map(nic => nicSpec(nic, outward))
}

export function nicSpec(nic: Awaited<ReturnType<typeof nicsOf>>[number], outward: boolean): NicSpec {
  const { cidr, gateway, ip_address: address } = nic
  const card = { id: nic.id, deviceId: nic.device_id, mac: nic.mac, sshPort: nic.ssh_port }
  if (address === null || cidr === null || gateway === null)
    throw new Problem('internal', 'nic-without-address', `NIC ${nic.id} is in a network of another hypervisor`)
  if (!nic.is_segment) return { ...card, kind: 'user-nat', outward, plan: { address, cidr, gateway } }
  const limit = nic.network_rate === null ? {} : { mbps: nic.network_rate }
  const network = specOf({ ...nic, cidr, gateway, id: nic.network_id })
  return {
    ...card,
    ...limit,
    kind: 'network',
    network,
    address,
    forwardSsh: nic.forwards_ssh,
    isDefault: nic.is_default,
  }
}
