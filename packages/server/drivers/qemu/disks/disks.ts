// Disks of a machine that runs: plugged in, pulled out, made larger. Each asks QEMU what is there first, so that it may be done
// twice, by this server or by the next; names follow from the disk alone (blockdev.ts, argv.ts), whichever way it came.
import { setTimeout as sleep } from 'node:timers/promises'
import type { DiskSpec } from '../../driver.ts'
import { diskDevice, diskId, diskPort } from '../machines/argv.ts'
import { machineNodes, nodeName, tipName } from './blockdev.ts'
import { devicesOf, lookEveryMs, pullOut, refuseAllBut, releaseLimitMs } from '../machines/hot-plug.ts'
import type { Machine } from '../machines/machine.ts'
import { problems } from '../problems.ts'
import type { Qmp } from '../process/qmp.ts'

export async function attachDisk(machine: Machine, disk: DiskSpec): Promise<void> {
  const qmp = await machine.monitor()
  const { deviceId, chain } = disk
  const [devices, nodes] = await Promise.all([devicesOf(qmp), nodesOf(qmp)])
  if (devices.has(diskId(deviceId))) {
    if (nodes.has(tipName(deviceId, chain))) return
    throw problems.otherDisk(deviceId)
  }
  if (!devices.has(diskPort(deviceId))) throw problems.noPort(deviceId)
  try {
    for (const node of machineNodes(deviceId, chain))
      if (!nodes.has(String(node['node-name']))) await qmp.execute('blockdev-add', node)
    await qmp.execute('device_add', diskDevice(disk))
  } catch (error) {
    if (machine.alive) await removeNodes(qmp, disk).catch(() => {}) // the first failure is the one to tell
    throw error
  }
}

export async function detachDisk(machine: Machine, disk: DiskSpec, signal: AbortSignal): Promise<void> {
  const qmp = await machine.monitor()
  const [devices, nodes] = await Promise.all([devicesOf(qmp), nodesOf(qmp)])
  if (devices.has(diskId(disk.deviceId))) {
    if (isOther(nodes, disk)) return
    await pullOut(qmp, diskId(disk.deviceId), problems.guestHoldsDisk(disk.deviceId, releaseLimitMs / 1000), signal)
  }
  await removeNodes(qmp, disk, signal)
}

/** An attachment that found another disk at its place, and is undone, must not pull that out. */
function isOther(nodes: ReadonlyMap<string, number>, { deviceId, chain }: DiskSpec): boolean {
  if (nodes.has(tipName(deviceId, chain))) return false
  // Two linked clones share what they stand on: then nobody can tell whose disk it is.
  if (chain.some(layer => nodes.has(nodeName(deviceId, layer)))) throw problems.otherDisk(deviceId)
  return true
}

export async function growDisk(machine: Machine, { deviceId, chain }: DiskSpec, virtualBytes: number): Promise<void> {
  const qmp = await machine.monitor()
  const now = (await nodesOf(qmp)).get(tipName(deviceId, chain))
  if (now === undefined) throw problems.diskNotThere(deviceId)
  if (virtualBytes < now) throw problems.onlyGrows(deviceId)
  if (virtualBytes > now)
    await qmp.execute('block_resize', { 'node-name': tipName(deviceId, chain), size: virtualBytes })
}

/** From the top down: QEMU keeps a node that another stands on. */
async function removeNodes(qmp: Qmp, { deviceId, chain }: DiskSpec, signal?: AbortSignal): Promise<void> {
  const there = await nodesOf(qmp)
  for (const layer of chain.toReversed()) {
    const name = nodeName(deviceId, layer)
    if (there.has(name)) await removeNode(qmp, name, signal)
  }
}

/**
 * A device that is pulled out leaves the list of devices first, and lets go of its disk when the last reader of QEMU's memory map
 * (RCU) is done with it: until then the node is in use.
 */
async function removeNode(qmp: Qmp, name: string, signal?: AbortSignal): Promise<void> {
  const deadline = performance.now() + (signal === undefined ? 0 : releaseLimitMs)
  for (;;) {
    try {
      return void (await qmp.execute('blockdev-del', { 'node-name': name }))
    } catch (error) {
      if (performance.now() > deadline) throw error
      refuseAllBut(/is in use/, error)
    }
    await sleep(lookEveryMs, null, { signal })
  }
}

/** Nodes by name, with what each shows in bytes. */
async function nodesOf(qmp: Qmp): Promise<Map<string, number>> {
  const nodes = await qmp.execute('query-named-block-nodes', { flat: true })
  return new Map(nodes.map(node => [node['node-name'], node.image['virtual-size']]))
}
