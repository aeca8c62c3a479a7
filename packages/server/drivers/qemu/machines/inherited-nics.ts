// Network cards that a clone finds in its memory: those of the machine that it is a clone of. They are at the same places, for the state of
// the devices fits no others, but their taps are joined to nothing. Their names tell them from the clone's own.
import type { NicId } from '@ramet/core/ids.ts'
import type { NetworkSpec } from '../../networks.ts'
import type { NicSpec } from '../../driver.ts'
import { netdevName, nicDeviceId } from './argv.ts'
import { devicesOf, pullOut, refuseAllBut, releaseLimitMs } from './hot-plug.ts'
import type { Machine } from './machine.ts'
import { problems } from '../problems.ts'
import type { Qmp } from '../process/qmp.ts'
import type { MachineShape } from './shape.ts'

/** A card in no network needs none. */
const nowhere: NetworkSpec = { id: '' as NetworkSpec['id'], cidr: '', gateway: '', domain: '' }
/** The guest's own address of it comes with the memory. */
const anyMac = '02:00:00:00:00:00'
const inheritedId = (place: number) => `inherited-${place}` as NicId

/** What comes with the memory of a machine of this shape. A card on a tap must get a tap: both know of checksums that are left open. */
export function inheritedNics({ devices, taps = [] }: MachineShape): NicSpec[] {
  const places = devices.flatMap(each => /^nic(\d+) /.exec(each)?.[1] ?? []).map(Number)
  return places.map(deviceId => {
    const card = { id: inheritedId(deviceId), deviceId, mac: anyMac, sshPort: null, silent: true }
    if (!taps.includes(deviceId)) return { ...card, kind: 'user-nat', outward: false }
    return { ...card, kind: 'network', network: nowhere, address: '', forwardSsh: false, isDefault: false }
  })
}

/** Those that a running machine still has. */
export async function inheritedIn(qmp: Qmp): Promise<{ id: NicId; deviceId: number }[]> {
  const found: { id: NicId; deviceId: number }[] = []
  for (const device of await devicesOf(qmp)) {
    const deviceId = Number(/^nic(\d+)$/.exec(device)?.[1] ?? -1)
    if (deviceId < 0) continue
    const netdev = await qmp.execute('qom-get', { path: `/machine/peripheral/${device}`, property: 'netdev' })
    if (netdev === netdevName(inheritedId(deviceId))) found.push({ id: inheritedId(deviceId), deviceId })
  }
  return found
}

/** Answers the places of those that the guest keeps. One that it lets go of later goes then: it was asked. */
export async function pullInheritedNics(machine: Machine, signal: AbortSignal): Promise<number[]> {
  const qmp = await machine.monitor()
  const held = await Promise.all(
    (await inheritedIn(qmp)).map(async ({ id, deviceId }) => {
      if (!(await isPulledOut(qmp, deviceId, signal))) return deviceId
      const gone = qmp.execute('netdev_del', { id: netdevName(id) })
      await gone.catch((error: unknown) => refuseAllBut(/not found/, error))
      return null
    }),
  )
  return held.filter(place => place !== null)
}

async function isPulledOut(qmp: Qmp, place: number, signal: AbortSignal): Promise<boolean> {
  const held = problems.guestHoldsNic(place, releaseLimitMs / 1000)
  try {
    await pullOut(qmp, nicDeviceId(place), held, signal)
    return true
  } catch (error) {
    if (error === held) return false
    throw error
  }
}

/** Places of the cards that are on taps: as QEMU's own list of its network has it. */
export async function tapsOf(qmp: Qmp): Promise<number[]> {
  const text = await qmp.execute('human-monitor-command', { 'command-line': 'info network' })
  return [...text.matchAll(/^nic(\d+): [^\n]*\r?\n \\ [^\n]*type=tap/gm)].map(([, place]) => Number(place))
}
