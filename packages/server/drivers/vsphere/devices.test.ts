// Cards and data disks when the connection is lost, or vCenter refuses: nothing is there twice, and nothing is lost.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import { following, twice } from '../contract-forest.ts'
import type { ForestDevices } from '../forest-devices.ts'
import type { ForestMachine, Plug } from '../forest.ts'
import { type TestMachines, testMachines } from './a-machine.ts'
import { noVcenter } from './a-vcenter.ts'
import { cardsOf, disksOf } from './devices.ts'
import { type VsphereDriver, vsphereDriver } from './driver.ts'
import type { MachineRef } from './ours.ts'

describe('devices of a machine on a vCenter', { skip: noVcenter() }, () => {
  let lab: TestMachines
  let driver: VsphereDriver
  let devices: ForestDevices
  let machine: ForestMachine
  let vm: MachineRef
  const template = { kind: 'template', id: newId<'template'>() } as const
  const pool = { id: newId<'storage-pool'>(), path: '' }
  const card: Plug = { deviceId: 1, mac: '02:00:4c:00:04:01', network: 'DC0_DVPG0' }
  before(async () => {
    lab = await testMachines()
    driver = await vsphereDriver({ ...lab.server, cluster: 'DC0/DC0_C0' })
    ;({ devices } = driver.forest)
    const { hosts, pools } = await driver.forest.inventory()
    pool.path = pools[0]!.path
    await driver.forest.adopt(template, (await lab.aMachine()).slice('VirtualMachine:'.length), following)
    machine = {
      vm: newId<'vm'>(),
      host: { id: newId<'host'>(), name: hosts[0]!.name },
      name: 'with-devices',
      cpus: 1,
      memoryMib: 64,
      plugs: [{ deviceId: 0, mac: '02:00:4c:00:04:00', network: 'VM Network' }],
      cdrom: null,
      firstBoot: { instanceId: 'i', hostname: 'a', sshKeys: [], passwordHash: null, userData: null },
    }
    const wanted = { machine, from: template, pool, cloneType: 'full', rootBytes: null, disks: [0] } as const
    await driver.forest.spawn(wanted, following)
    const query = { uuid: machine.vm, vmSearch: true, instanceUuid: true }
    const found = await lab.vcenter.call(lab.vcenter.connection.content.searchIndex!, 'FindByUuid', query)
    vm = found as MachineRef
  })
  after(async () => {
    await driver.close()
    await lab.close()
  })

  const disksNow = async () => disksOf(await lab.devicesOf(vm)).length
  const cardsNow = async () => cardsOf(await lab.devicesOf(vm)).length

  /** Asks with the connection cut, until it goes through. */
  async function throughCuts(method: string, ask: () => Promise<unknown>): Promise<void> {
    for (const act of ['cut-before', 'cut-after'] as const) {
      await lab.server.trouble({ method, act })
      await ask().catch(error => assert.equal((error as { code?: string }).code, 'vsphere-outcome-unknown'))
    }
    for (const _ of twice) await ask()
  }

  test('a connection that is lost leaves each there once, or gone', async () => {
    const disk = { id: newId<'volume'>(), pool }
    await throughCuts('CreateVirtualDisk_Task', () => devices.makeDisk(disk, 2 ** 26))
    await throughCuts('ReconfigVM_Task', () => devices.attachDisk(machine.vm, disk, 1))
    assert.equal(await disksNow(), 2)
    await throughCuts('ReconfigVM_Task', () => devices.growDisk(machine.vm, 1, 2 ** 27))
    await throughCuts('ReconfigVM_Task', () => devices.plug(machine.vm, card))
    assert.equal(await cardsNow(), 2)
    await throughCuts('ReconfigVM_Task', () => devices.unplug(machine.vm, card))
    assert.equal(await cardsNow(), 1)
    await throughCuts('ReconfigVM_Task', () => devices.detachDisk(machine.vm, disk))
    assert.equal(await disksNow(), 1)
    assert.equal((await devices.attachDisk(machine.vm, disk, 1)).virtualBytes, 2 ** 27)
    await devices.detachDisk(machine.vm, disk)
    await throughCuts('DeleteVirtualDisk_Task', () => devices.discardDisk(disk))
    await assert.rejects(devices.attachDisk(machine.vm, disk, 1))
    assert.equal(await disksNow(), 1)
  })

  test('what vCenter refuses is told with the reason, and changes nothing', async () => {
    const disk = { id: newId<'volume'>(), pool }
    const fails = (method: string, fault: string, fields: object, ask: () => Promise<unknown>, code: string) =>
      lab.server
        .trouble({ method, act: 'fault', fault, fields })
        .then(() => assert.rejects(ask(), (error: Error & { code?: string }) => error.code === code, fault))
    const make = () => devices.makeDisk(disk, 2 ** 26)
    const full = { Datastore: pool.path, File: 'x' }
    await fails('CreateVirtualDisk_Task', 'NoDiskSpace', full, make, 'vsphere-datastore-full')
    await make()
    const attach = () => devices.attachDisk(machine.vm, disk, 1)
    const privilege = { PrivilegeId: 'VirtualMachine.Config.AddExistingDisk' }
    await fails('ReconfigVM_Task', 'NoPermission', privilege, attach, 'vsphere-forbidden')
    await fails('ReconfigVM_Task', 'TaskInProgress', {}, attach, 'vsphere-busy')
    await fails('ReconfigVM_Task', 'ConcurrentAccess', {}, attach, 'vsphere-busy')
    assert.equal(await disksNow(), 1)
    await attach()
    await fails(
      'ReconfigVM_Task',
      'FileLocked',
      { File: 'x' },
      () => devices.detachDisk(machine.vm, disk),
      'vsphere-file-locked',
    )
    assert.equal(await disksNow(), 2)
    await driver.machines.discard(machine.vm)
    await devices.discardDisk(disk)
  })
})
