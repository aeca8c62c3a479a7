// Machines for tests, in a test vCenter of their own.
import { type TestVcenter, aVcenter } from './a-vcenter.ts'
import { type Cloned, cloneMachine } from './clone-machine.ts'
import type { CloneRequest } from './clone-spec.ts'
import { disksOf } from './devices.ts'
import { Inventory } from './inventory.ts'
import { destroyMachine, powerOff } from './power.ts'
import type { SnapshotRef } from './snapshots.ts'
import { Vcenter } from './vcenter.ts'
import { readObject } from './vim25/properties.ts'
import type { Ref } from './vim25/schema.ts'

export type MachineRef = Ref<'VirtualMachine'>
export type TestMachines = Awaited<ReturnType<typeof testMachines>>

export const twice = ['first', 'again'] as const

/** A server with one machine, and what tests do with it. */
export async function testMachines(...options: string[]) {
  const server: TestVcenter = await aVcenter('-machines', '1', ...options)
  const vcenter = await Vcenter.open(server)
  const inventory = await Inventory.open(vcenter)
  await inventory.close() // what was read of it stays
  const place = await placeIn(vcenter, inventory)
  const [first] = inventory.all('VirtualMachine').keys()
  const hosts = [...inventory.all('HostSystem').keys()].toSorted()
  let count = 0

  function aClone(source: MachineRef, change: Partial<CloneRequest> & { kind: CloneRequest['kind'] }): CloneRequest {
    count++
    const named = { name: `clone-${count}`, operation: `operation-${count}` }
    return { source, snapshot: null, host: hosts[0]!, ...place, ...named, ...change }
  }

  /** A machine of its own for each test, off. */
  async function aMachine(): Promise<MachineRef> {
    return (await cloneMachine(vcenter, aClone(first!, { kind: 'full' }))).vm
  }

  function aLinkedClone(source: MachineRef, snapshot: SnapshotRef): Promise<Cloned> {
    return cloneMachine(vcenter, aClone(source, { kind: 'linked', snapshot }))
  }

  async function addDisk(vm: MachineRef, diskMode: string): Promise<void> {
    const disks = disksOf(await devicesOf(vm))
    const backing = { is: 'VirtualDiskFlatVer2BackingInfo', fileName: '', diskMode } as const
    const { controllerKey } = disks[0]!
    const disk = {
      is: 'VirtualDisk',
      key: -1,
      backing,
      controllerKey,
      unitNumber: disks.length,
      capacityInKB: 1024,
    } as const
    const deviceChange = [{ operation: 'add', fileOperation: 'create', device: disk }]
    await vcenter.run(vm, 'ReconfigVM_Task', { spec: { deviceChange } })
  }

  async function devicesOf(vm: MachineRef) {
    return (await readObject(vcenter.connection, vm, ['config.hardware.device']))['config.hardware.device'] ?? []
  }

  async function powerOf(vm: MachineRef) {
    return (await readObject(vcenter.connection, vm, ['runtime.powerState']))['runtime.powerState']
  }

  async function removed(vm: MachineRef): Promise<void> {
    await powerOff(vcenter, vm)
    for (const _ of twice) await destroyMachine(vcenter, vm)
  }

  async function close(): Promise<void> {
    await vcenter.close()
    await server.stop()
  }

  const firstName = inventory.get(first!)!.name!
  return {
    server,
    vcenter,
    hosts,
    firstName,
    aClone,
    aMachine,
    aLinkedClone,
    addDisk,
    devicesOf,
    powerOf,
    removed,
    close,
  }
}

/** Where clones go, and two networks of either kind. */
async function placeIn(vcenter: Vcenter, inventory: Inventory) {
  const [machine] = inventory.all('VirtualMachine').values()
  const [cluster] = inventory.all('ClusterComputeResource').values()
  const [datastore] = inventory.all('Datastore').keys()
  const [[network, { name }]] = [...inventory.all('Network')] as [[Ref, { name: string }]]
  const group = [...inventory.all('DistributedVirtualPortgroup').values()].find(each => each.name === 'DC0_DVPG0')!
  const vswitch = group['config.distributedVirtualSwitch'] as Ref<'DistributedVirtualSwitch'>
  const { uuid } = await readObject(vcenter.connection, vswitch, ['uuid'])
  const plugs = [
    { network, name },
    { switchUuid: uuid!, portgroupKey: group.key! },
  ]
  return { folder: machine!.parent!, pool: cluster!.resourcePool!, datastore: datastore!, plugs }
}

export function aWish(name: string, memory = false) {
  return { id: globalThis.crypto.randomUUID(), name, memory, quiesce: false }
}
