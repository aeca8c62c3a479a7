// Cards and data disks of machines that run or are off. Each change reads first what is there, when no task is under way that nobody saw
// the end of, and names the state that it read: what somebody else changed meanwhile is not changed twice.
import type { VmId } from '@ramet/core/ids.ts'
import type { DiskFacts } from '../forest.ts'
import type { DataDisk, ForestDevices } from '../forest-devices.ts'
import type { Cluster } from './cluster.ts'
import { demandLoose, deviceOf, discardDisk, fileOf, makeDisk } from './data-disks.ts'
import { type Device, type DeviceChange, addedCard, cardOf, chainOf } from './devices.ts'
import { addedDisk, placedDisks, readDisks } from './disk-facts.ts'
import type { Machines } from './machines.ts'
import { tasksEnd } from './make-once.ts'
import type { MachineRef } from './ours.ts'
import { problems, telling } from './problems.ts'
import { growDisk } from './spawn.ts'
import { readObject } from './vim25/properties.ts'
import type { Ref } from './vim25/schema.ts'

type Wish = (devices: readonly Device[]) => DeviceChange[]

export function vsphereDevices(cluster: Cluster, machines: Machines): ForestDevices {
  const { vcenter } = cluster

  async function change(id: VmId, vm: MachineRef, wish: Wish): Promise<void> {
    await tasksEnd(vcenter, vm)
    const paths = ['config.hardware.device', 'config.changeVersion'] as const
    const found = await readObject(vcenter.connection, vm, paths)
    const deviceChange = wish(found['config.hardware.device'] ?? [])
    if (deviceChange.length === 0) return
    const spec = { changeVersion: found['config.changeVersion'], deviceChange }
    await vcenter.run(vm, 'ReconfigVM_Task', { spec }, { vm: id })
  }

  async function factsAt(vm: MachineRef, deviceId: number): Promise<DiskFacts> {
    const found = (await readDisks(vcenter, vm)).find(each => each.deviceId === deviceId)
    if (!found) throw problems.gone(`disk ${deviceId} of the machine`, undefined)
    return found
  }

  const onMachine = <T>(id: VmId, act: (vm: MachineRef) => Promise<T>): Promise<T> =>
    telling('The machine', async () => act(await machines.demand(id)))

  return {
    plug: (id, { network, mac }) =>
      onMachine(id, async vm => {
        const { 'runtime.host': host } = await readObject(vcenter.connection, vm, ['runtime.host'])
        const plug = cluster.plugInto(network, mac, (host ?? 'HostSystem:') as Ref<'HostSystem'>)
        await change(id, vm, devices => (cardOf(devices, mac) ? [] : [addedCard(plug)]))
      }),
    unplug: (id, { mac }) =>
      onMachine(id, vm =>
        change(id, vm, devices => {
          const device = cardOf(devices, mac)
          return device ? [{ operation: 'remove', device }] : []
        }),
      ),
    makeDisk: (disk, bytes) => telling('The disk', () => makeDisk(cluster, disk, bytes)),
    attachDisk: (id, disk, deviceId) =>
      onMachine(id, async vm => {
        await demandLoose(cluster, disk, vm)
        await change(id, vm, devices => (deviceOf(devices, disk) ? [] : [added(devices, disk, deviceId)]))
        return factsAt(vm, deviceId)
      }),
    detachDisk: (id, disk) => onMachine(id, vm => change(id, vm, devices => removed(devices, disk))),
    growDisk: (id, deviceId, bytes) =>
      onMachine(id, async vm => {
        await tasksEnd(vcenter, vm)
        await demandAlone(cluster, vm, deviceId, bytes)
        await growDisk(cluster, vm, id, deviceId, bytes)
        return factsAt(vm, deviceId)
      }),
    discardDisk: disk => telling('The disk', () => discardDisk(cluster, disk)),
  }
}

function added(devices: readonly Device[], disk: DataDisk, deviceId: number): DeviceChange {
  const change = addedDisk(devices, fileOf(disk), deviceId)
  if (!change) throw problems.gone('a root disk beside which the other could be', undefined)
  return change
}

function removed(devices: readonly Device[], disk: DataDisk): DeviceChange[] {
  const device = deviceOf(devices, disk)
  if (!device) return []
  if (chainOf(device).length > 1) throw problems.diskInSnapshot()
  return [{ operation: 'remove', device }]
}

/** vSphere lets no disk grow that stands on another file. */
async function demandAlone({ vcenter }: Cluster, vm: MachineRef, deviceId: number, bytes: number): Promise<void> {
  const found = await readObject(vcenter.connection, vm, ['config.hardware.device'])
  const disk = placedDisks(found['config.hardware.device']).find(each => each.deviceId === deviceId)?.disk
  const isLarge = disk && (disk.capacityInBytes ?? disk.capacityInKB * 1024) >= bytes
  if (disk && !isLarge && chainOf(disk).length > 1) throw problems.linkedGrows()
}
