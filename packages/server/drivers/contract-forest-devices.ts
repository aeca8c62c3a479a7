// Cards and data disks of machines whose hypervisor keeps its own disks: a part of the contract suite (contract-forest.ts).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import type { VmId } from '@ramet/core/ids.ts'
import { following, type ForestLab, twice } from './contract-forest.ts'
import type { DataDisk } from './forest-devices.ts'

const mib = 2 ** 20

export function forestDevices(lab: () => ForestLab): void {
  const devices = () => lab().forest.devices
  const aDisk = async (bytes = 64 * mib): Promise<DataDisk> => {
    const disk = { id: newId<'volume'>(), pool: lab().made.pool }
    for (const _ of twice) await devices().makeDisk(disk, bytes)
    return disk
  }
  const placesOf = async (vm: VmId) => (await lab().forest.disks(vm))?.map(({ deviceId }) => deviceId).toSorted()

  test('a data disk is made, attached to a machine that runs, grows there, and goes with its content to another', async () => {
    const [one, other] = [await lab().running(), await lab().aClone('linked')]
    const disk = await aDisk()
    for (const _ of twice) {
      const { deviceId, virtualBytes, depth } = await devices().attachDisk(one.vm, disk, 2)
      assert.deepEqual([deviceId, virtualBytes, depth], [2, 64 * mib, 1])
    }
    await assert.rejects(devices().attachDisk(other.vm, disk, 2), { kind: 'in-use', code: 'disk-in-use' })
    await assert.rejects(devices().discardDisk(disk), { kind: 'in-use', code: 'disk-in-use' })
    for (const _ of twice) assert.equal((await devices().growDisk(one.vm, 2, 128 * mib)).virtualBytes, 128 * mib)
    for (const _ of twice) await devices().detachDisk(one.vm, disk)
    assert.deepEqual(await placesOf(one.vm), [0, 1])
    assert.equal((await devices().attachDisk(other.vm, disk, 5)).virtualBytes, 128 * mib)
    assert.deepEqual(await placesOf(other.vm), [0, 1, 5])
    await lab().removed(one.vm, other.vm)
    for (const _ of twice) await devices().discardDisk(disk)
    await assert.rejects(devices().attachDisk(one.vm, disk, 2), { kind: 'unavailable' })
  })

  test('a machine that goes, also with VM snapshots, leaves its data disks', async () => {
    const machine = await lab().aClone('linked')
    const disk = await aDisk()
    await devices().attachDisk(machine.vm, disk, 2)
    const node = lab().aSnapshot(machine.vm)
    await lab().forest.fork(node, { name: 's', memory: false, quiesce: false }, following)
    await assert.rejects(devices().detachDisk(machine.vm, disk), { kind: 'in-use', code: 'disk-in-snapshot' })
    await lab().removed(machine.vm)
    const other = await lab().aClone('full')
    const { virtualBytes, depth } = await devices().attachDisk(other.vm, disk, 2)
    assert.deepEqual([virtualBytes, depth], [64 * mib, 1])
    await devices().detachDisk(other.vm, disk)
    await lab().removed(other.vm)
    await devices().discardDisk(disk)
  })

  test('a data disk of which a VM snapshot was taken and removed is detached as the file that it was', async () => {
    const machine = await lab().aClone('linked')
    const disk = await aDisk()
    const [file] = (await devices().attachDisk(machine.vm, disk, 2)).files
    const node = lab().aSnapshot(machine.vm)
    await lab().forest.fork(node, { name: 's', memory: false, quiesce: false }, following)
    await lab().forest.prune(node, following)
    const found = (await lab().forest.disks(machine.vm))?.find(({ deviceId }) => deviceId === 2)
    assert.deepEqual(found?.files, [file])
    await devices().detachDisk(machine.vm, disk)
    await lab().removed(machine.vm)
    await devices().discardDisk(disk)
  })

  test('the root disk of a full clone grows, that of a linked one does not', async () => {
    const [full, linked] = [await lab().aClone('full'), await lab().aClone('linked')]
    const { virtualBytes = 0 } = (await lab().forest.disks(full.vm))?.[0] ?? {}
    for (const _ of twice)
      assert.equal((await devices().growDisk(full.vm, 0, 2 * virtualBytes)).virtualBytes, 2 * virtualBytes)
    await assert.rejects(devices().growDisk(linked.vm, 0, 2 * virtualBytes), {
      kind: 'refused',
      code: 'vsphere-linked-disk',
    })
    assert.equal((await lab().forest.disks(linked.vm))?.[0]?.virtualBytes, virtualBytes)
    await lab().removed(full.vm, linked.vm)
  })

  test('a card comes and goes while its machine runs; one in a network that is not there is refused', async () => {
    const machine = await lab().running()
    const [own] = machine.plugs
    assert.ok(own)
    for (const _ of twice) await devices().unplug(machine.vm, own)
    for (const _ of twice) await devices().plug(machine.vm, own)
    const nowhere = { ...own, mac: '02:00:4c:00:09:09', network: 'nowhere' }
    await assert.rejects(devices().plug(machine.vm, nowhere), { kind: 'refused', code: 'vsphere-no-network' })
    assert.equal((await lab().driver.machines.facts(machine.vm)).power, 'on')
    await lab().removed(machine.vm)
  })
}
