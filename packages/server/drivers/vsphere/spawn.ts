// Machines of ours: made of a node, given what they shall have, and started.
import { identityProblems } from '@ramet/core/identity.ts'
import type { VmId } from '@ramet/core/ids.ts'
import type {
  DiskFacts,
  ForestMachine,
  Following,
  InstantFacts,
  InstantSpawn,
  SeedNode,
  SnapshotNode,
  Spawn,
} from '../forest.ts'
import type { HostRef } from '../driver.ts'
import { cloneMachine } from './clone-machine.ts'
import type { Cluster } from './cluster.ts'
import { customizationOf } from './customization.ts'
import { changeCards, type Disk } from './devices.ts'
import { placedDisks, readDisks } from './disk-facts.ts'
import { guestOptions } from './clone-spec.ts'
import { firstBootInfo } from './first-boot.ts'
import { takeFork } from './forks.ts'
import { instantClone } from './instant-clone.ts'
import type { Nodes } from './nodes.ts'
import { type MachineRef, operationOf } from './ours.ts'
import { moveToHost, powerOn } from './power.ts'
import { problems, telling } from './problems.ts'
import { settled } from './settled.ts'
import type { RunOptions } from './vcenter.ts'
import { adoptTemplate } from './templates.ts'
import { readObject } from './vim25/properties.ts'
import type { Ref } from './vim25/schema.ts'

interface Made {
  readonly vm: MachineRef
  readonly disks: DiskFacts[]
}

export async function spawn(cluster: Cluster, nodes: Nodes, wanted: Spawn, following: Following): Promise<Made> {
  const { machine, pool, cloneType, rootBytes } = wanted
  const { vcenter } = cluster
  const node = await sourceOf(cluster, nodes, wanted, { ...following, vm: machine.vm })
  const devices = await nodes.devices(node)
  const disks = placedDisks(devices).filter(({ deviceId }) => wanted.disks.includes(deviceId))
  const root = disks.find(({ deviceId }) => deviceId === 0)?.disk
  const grows = root !== undefined && rootBytes !== null && rootBytes > bytesOf(root)
  if (grows && cloneType === 'linked') throw problems.linkedGrows()
  const host = cluster.hostAtWork(machine.host.name)
  const plugs = machine.plugs.map(({ network, mac }) => cluster.plugInto(network, mac, host))
  const { vm } = await cloneMachine(
    vcenter,
    {
      ...node,
      host,
      plugs,
      devices,
      kind: cloneType,
      name: machine.name,
      folder: await cluster.folder(),
      datastore: cluster.datastoreNamed(pool.path),
      pool: cluster.resourcePool,
      cpus: machine.cpus,
      memoryMib: machine.memoryMib,
      disks: disks.map(({ disk }) => disk.key),
      operation: operationOf.vm(machine.vm),
      instanceUuid: machine.vm,
      guestInfo: firstBootInfo(machine.firstBoot),
      customization: customizationOf(wanted),
    },
    { ...following, vm: machine.vm },
  )
  if (grows) await growDisk(cluster, vm, machine.vm, 0, rootBytes)
  return { vm, disks: await readDisks(vcenter, vm) }
}

/** A running machine is copied as it is; for linked clones it is given a snapshot to stand on. */
async function sourceOf(cluster: Cluster, nodes: Nodes, { from, cloneType }: Spawn, options: RunOptions) {
  const isFork = from.kind === 'fork'
  if ((from.kind === 'vm' || isFork) && (cloneType === 'linked') !== isFork)
    throw new Error(`a ${cloneType} clone is not made of a node of kind ${from.kind}`)
  if (from.kind === 'vm') return nodes.machine(from.id)
  if (!isFork) return nodes.find(from)
  const { source } = await nodes.machine(from.vm)
  return takeFork(cluster.vcenter, nodes, source, from, options)
}

/** A copy of a machine that runs, with its own cards. vCenter names it as we do only after it was made: then it is known by its operation. */
export async function instant(
  cluster: Cluster,
  source: MachineRef,
  { machine }: InstantSpawn,
  following: Following,
): Promise<Made & Pick<InstantFacts, 'isOfFrozen' | 'unconfirmed'>> {
  const { vcenter } = cluster
  const request = {
    source,
    name: machine.name,
    folder: await cluster.folder(),
    pool: cluster.resourcePool,
    guestInfo: firstBootInfo(machine.firstBoot),
    unplug: true,
    operation: operationOf.vm(machine.vm),
  }
  const options = { ...following, vm: machine.vm }
  const host = cluster.hostAtWork(machine.host.name)
  const plugs = machine.plugs.map(({ network, mac }) => cluster.plugInto(network, mac, host))
  const { vm, isOfFrozen } = await instantClone(vcenter, request, options)
  const { config } = await readObject(vcenter.connection, vm, ['config'])
  const deviceChange = changeCards(config?.hardware.device ?? [], plugs)
  if (config?.instanceUuid !== machine.vm || deviceChange.length > 0)
    await vcenter.run(vm, 'ReconfigVM_Task', { spec: { instanceUuid: machine.vm, deviceChange } }, options)
  return { vm, disks: await readDisks(vcenter, vm), isOfFrozen, unconfirmed: [identityProblems.insideGuest] }
}

/** A flat copy of the root disk of a VM snapshot, where that disk is, with a base snapshot for linked clones; nobody runs it. */
export async function makeSeed(
  cluster: Cluster,
  nodes: Nodes,
  { id }: SeedNode,
  of: SnapshotNode,
  host: HostRef,
  following: Following,
): Promise<void> {
  const { vcenter } = cluster
  const node = await nodes.snapshot(of)
  const root = placedDisks(await nodes.devices(node)).find(({ deviceId }) => deviceId === 0)?.disk
  const at = root?.backing && 'datastore' in root.backing ? root.backing.datastore : undefined
  if (!root || at === undefined) throw problems.gone('the root disk of the VM snapshot', undefined)
  const place = { pool: cluster.resourcePool, host: cluster.hostAtWork(host.name) }
  const { vm } = await cloneMachine(
    vcenter,
    {
      ...node,
      ...place,
      kind: 'full',
      name: `seed-${id}`,
      folder: await cluster.folder(),
      datastore: at,
      plugs: [],
      disks: [root.key],
      operation: operationOf.seed(id),
      instanceUuid: id,
    },
    { ...following, vm: of.vm },
  )
  await adoptTemplate(vcenter, vm, id, place, { ...following, vm: of.vm })
}

/** Gives a machine that is off what is described, and lets it run. */
export function startMachine(cluster: Cluster, vm: MachineRef, machine: ForestMachine, signal: AbortSignal) {
  const { vcenter } = cluster
  return telling(machine.name, async () => {
    const { 'runtime.powerState': power } = await readObject(vcenter.connection, vm, ['runtime.powerState'])
    if (power === 'poweredOn') return
    if (machine.cdrom) throw problems.noIso()
    const host = cluster.hostAtWork(machine.host.name)
    const options = { signal, vm: machine.vm }
    if (power === 'poweredOff') await reconfigure(cluster, vm, machine, host, signal)
    await moveToHost(vcenter, vm, host, options)
    await powerOn(vcenter, vm, options)
  })
}

/** Sends what differs, and nothing where nothing does. */
async function reconfigure(
  cluster: Cluster,
  vm: MachineRef,
  machine: ForestMachine,
  host: Ref<'HostSystem'>,
  signal: AbortSignal,
): Promise<void> {
  const { vcenter } = cluster
  const { config } = await readObject(vcenter.connection, vm, ['config'])
  if (!config) throw problems.gone(machine.name, undefined)
  const { numCPU, memoryMB, device = [] } = config.hardware
  const plugs = machine.plugs.map(({ network, mac }) => cluster.plugInto(network, mac, host))
  const deviceChange = changeCards(device, plugs)
  const told = guestOptions(firstBootInfo(machine.firstBoot))
  const has = new Map(config.extraConfig?.map(({ key, value }) => [key, value]))
  const extraConfig = told.filter(({ key, value }) => has.get(key) !== value)
  const sizes = {
    ...(numCPU === machine.cpus ? {} : { numCPUs: machine.cpus }),
    ...(memoryMB === machine.memoryMib ? {} : { memoryMB: machine.memoryMib }),
  }
  if (Object.keys(sizes).length + deviceChange.length + extraConfig.length === 0) return
  const spec = { ...sizes, deviceChange, extraConfig }
  await vcenter.run(vm, 'ReconfigVM_Task', { spec }, { signal, vm: machine.vm })
  await settled(
    () => readObject(vcenter.connection, vm, ['config.hardware.device']),
    found => changeCards(found['config.hardware.device'] ?? [], plugs).length === 0,
    `${machine.name} has other network cards than were asked for`,
  )
}

/** Makes a disk larger; one that has that size is left alone. */
export async function growDisk(cluster: Cluster, vm: MachineRef, id: VmId, deviceId: number, bytes: number) {
  const { vcenter } = cluster
  const found = await readObject(vcenter.connection, vm, ['config.hardware.device'])
  const disk = placedDisks(found['config.hardware.device']).find(each => each.deviceId === deviceId)?.disk
  if (!disk) throw problems.gone(`disk ${deviceId} of the machine`, undefined)
  if (bytesOf(disk) >= bytes) return
  const capacityInKB = Math.ceil(bytes / 1024)
  const device = { ...disk, capacityInKB, capacityInBytes: capacityInKB * 1024 }
  const spec = { deviceChange: [{ operation: 'edit', device }] }
  await vcenter.run(vm, 'ReconfigVM_Task', { spec }, { vm: id })
}

function bytesOf({ capacityInBytes, capacityInKB }: Disk): number {
  return capacityInBytes ?? capacityInKB * 1024
}
