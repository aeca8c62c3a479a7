// Network cards of a machine that runs: plugged in and pulled out. As with disks, QEMU is asked first what is there, so that it may be
// done twice, by this server or by the next. What a card's network keeps for it is there before the card, and goes after it.
import { access } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { NatNicSpec, NetworkNicSpec, NicSpec } from '../../driver.ts'
import { netdevName, nicDevice, nicDeviceId, nicPort, userNetdev } from './argv.ts'
import { devicesOf, pullOut, refuseAllBut, releaseLimitMs } from './hot-plug.ts'
import type { Machine } from './machine.ts'
import { networksDirectory } from '../network/folder.ts'
import type { QemuNetworks } from '../network/networks.ts'
import { giveTap } from '../network/taps.ts'
import { choosePorts, portRefused } from '../process/ports.ts'
import { problems } from '../problems.ts'
import type { Qmp } from '../process/qmp.ts'

const portAttempts = 5

export async function attachNic(
  machine: Machine,
  nic: NicSpec,
  hostname: string,
  networks: QemuNetworks,
): Promise<void> {
  const qmp = await machine.monitor()
  if (await isThere(qmp, nic)) return
  const devices = await devicesOf(qmp)
  if (devices.has(nicDeviceId(nic.deviceId))) throw problems.otherNic(nic.deviceId)
  if (!devices.has(nicPort(nic.deviceId))) throw problems.noNicPort(nic.deviceId)
  await removeNetdev(qmp, nic) // an earlier try may have left one
  try {
    const port =
      nic.kind === 'network' ? await joinNetwork(machine, nic, hostname, networks) : await makeNetwork(qmp, nic)
    await machine.rememberPort(nic.id, port ?? null)
    await qmp.execute('device_add', nicDevice(nic))
    if (nic.silent) await silence(qmp, [nic])
  } catch (error) {
    await giveUp(machine, nic, networks).catch(() => {}) // the first failure is the one to tell
    throw error
  }
}

export async function detachNic(
  machine: Machine,
  nic: NicSpec,
  networks: QemuNetworks,
  signal: AbortSignal,
): Promise<void> {
  const qmp = await machine.monitor()
  const held = problems.guestHoldsNic(nic.deviceId, releaseLimitMs / 1000)
  if (await isThere(qmp, nic)) await pullOut(qmp, nicDeviceId(nic.deviceId), held, signal)
  await giveUp(machine, nic, networks)
}

/** Takes the link from the cards that are silent. */
export async function silence(qmp: Qmp, nics: readonly NicSpec[]): Promise<void> {
  for (const { id, silent } of nics) if (silent) await qmp.execute('set_link', { name: netdevName(id), up: false })
}

/** Whether this card is at its place; another one, or none, is not. */
async function isThere(qmp: Qmp, { id, deviceId }: NicSpec): Promise<boolean> {
  if (!(await devicesOf(qmp)).has(nicDeviceId(deviceId))) return false
  const path = `/machine/peripheral/${nicDeviceId(deviceId)}`
  return (await qmp.execute('qom-get', { path, property: 'netdev' })) === netdevName(id)
}

async function joinNetwork(
  { vm, found }: Machine,
  nic: NetworkNicSpec,
  hostname: string,
  networks: QemuNetworks,
): Promise<number | undefined> {
  const { path, taps } = found.folder
  await access(taps).catch(cause => Promise.reject(problems.noTapSocket(cause)))
  const ports = await networks.admit(vm, [nic], hostname)
  await giveTap(networksDirectory(dirname(path)), nic, taps, netdevName(nic.id))
  return ports[nic.id]
}

async function makeNetwork(qmp: Qmp, nic: NatNicSpec): Promise<number | undefined> {
  const busy = new Set<number>()
  for (;;) {
    const port = (await choosePorts([nic], busy))[nic.id]
    try {
      await qmp.execute('netdev_add', userNetdev(nic, port))
      return port
    } catch (error) {
      const taken = portRefused(error instanceof Error ? error.message : '')
      if (taken === null || busy.size === portAttempts) throw error
      busy.add(taken)
    }
  }
}

async function giveUp(machine: Machine, nic: NicSpec, networks: QemuNetworks): Promise<void> {
  if (machine.alive) await removeNetdev(await machine.monitor(), nic)
  await machine.rememberPort(nic.id, null)
  if (nic.kind === 'network') await networks.calls.release(nic.network.id, nic.id)
}

async function removeNetdev(qmp: Qmp, { id }: NicSpec): Promise<void> {
  await qmp.execute('netdev_del', { id: netdevName(id) }).catch((error: unknown) => refuseAllBut(/not found/, error))
}
