// Cards in networks of the inventory, on vcsim as it is.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import { following } from '../contract-forest.ts'
import type { ForestMachine, Plug } from '../forest.ts'
import { type TestMachines, testMachines } from './a-machine.ts'
import { noVcenter } from './a-vcenter.ts'
import { cardsOf } from './devices.ts'
import { type VsphereDriver, vsphereDriver } from './driver.ts'
import type { MachineRef } from './ours.ts'

describe('networks of a vCenter', { skip: noVcenter() }, () => {
  let lab: TestMachines
  let driver: VsphereDriver
  const template = { kind: 'template', id: newId<'template'>() } as const
  before(async () => {
    lab = await testMachines('-plain')
    driver = await vsphereDriver({ ...lab.server, cluster: 'DC0/DC0_C0' })
    await driver.forest.adopt(template, (await lab.aMachine()).slice('VirtualMachine:'.length), following)
  })
  after(async () => {
    await driver.close()
    await lab.close()
  })

  const plug = (deviceId: number, network: string): Plug => ({ deviceId, network, mac: `02:00:4c:00:02:0${deviceId}` })
  const find = async (uuid: string) => {
    const query = { uuid, vmSearch: true, instanceUuid: true }
    return (await lab.vcenter.call(lab.vcenter.connection.content.searchIndex!, 'FindByUuid', query)) as MachineRef
  }

  async function aMachine(...plugs: Plug[]): Promise<ForestMachine> {
    const { hosts, pools } = await driver.forest.inventory()
    const vm = newId<'vm'>()
    const firstBoot = { instanceId: vm, hostname: 'a', sshKeys: [], passwordHash: null, userData: null }
    const host = { id: newId<'host'>(), name: hosts[0]!.name }
    const machine = { vm, host, name: `m-${vm}`, cpus: 1, memoryMib: 64, plugs, cdrom: null, firstBoot }
    const pool = { id: newId<'storage-pool'>(), path: pools[0]!.path }
    const wanted = { machine, from: template, pool, cloneType: 'full', rootBytes: null, disks: [0] } as const
    await driver.forest.spawn(wanted, following)
    return machine
  }

  test('are those that machines can be in: not the uplinks of switches', async () => {
    const { networks } = await driver.forest.inventory()
    assert.deepEqual(networks.toSorted(), ['DC0_DVPG0', 'VM Network'])
  })

  test('a machine has a card in each that is asked for, before it runs; another choice changes what differs', async () => {
    const machine = await aMachine(plug(0, 'VM Network'), plug(1, 'DC0_DVPG0'))
    const vm = await find(machine.vm)
    const macs = async () => cardsOf(await lab.devicesOf(vm)).map(({ macAddress }) => macAddress)
    assert.deepEqual(await macs(), ['02:00:4c:00:02:00', '02:00:4c:00:02:01'])
    const { signal } = following
    const [kept] = cardsOf(await lab.devicesOf(vm))
    await driver.forest.start({ ...machine, plugs: [machine.plugs[0]!, plug(2, 'DC0_DVPG0')] }, signal)
    assert.deepEqual(await macs(), ['02:00:4c:00:02:00', '02:00:4c:00:02:02'])
    assert.equal(cardsOf(await lab.devicesOf(vm))[0]?.key, kept?.key)
    await driver.machines.stop(machine.vm, 0, signal)
    const wrong = { ...machine, plugs: [plug(3, 'nowhere')] }
    await assert.rejects(driver.forest.start(wrong, signal), { kind: 'refused', code: 'vsphere-no-network' })
    assert.equal(await lab.powerOf(vm), 'poweredOff')
    assert.deepEqual(await macs(), ['02:00:4c:00:02:00', '02:00:4c:00:02:02'])
    await driver.machines.discard(machine.vm)
  })
})
