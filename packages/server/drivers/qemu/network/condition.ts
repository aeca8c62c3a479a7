// What is wrong with networks, and how one is found again of which only machines or dnsmasq are left.
import type { NetworkFacts } from '../../networks.ts'
import { servingProcess } from './dnsmasq.ts'
import * as files from './folder.ts'
import { findHolders, type Holder } from './holders.ts'
import { isInside, isNamespace, nameAgain, tapsIn } from './segment.ts'
import { knowsHost } from './user-way-out.ts'
import { hasWayOut } from './way-out.ts'

/** All networks, for one who only wants to know. `isThorough`: looks for machines that were left behind too, in all of /proc. */
export async function observeNetworks(directory: string, isThorough = false): Promise<NetworkFacts[]> {
  const folders = (await files.listNetworks(directory)).map(id => files.networkFolder(directory, id))
  const members = isThorough ? await Promise.all(folders.map(files.readMembers)) : []
  const holders = await findHolders(members.flat())
  return Promise.all(folders.map(async folder => ({ id: folder.id, trouble: await troubleOf(folder, holders) })))
}

/** A look at some files and a process, and where `holders` of taps are. */
export async function troubleOf(folder: files.NetworkFolder, holders: readonly Holder[] = []): Promise<string | null> {
  const spec = await files.readSpec(folder)
  if (!spec) return 'was not made whole'
  if (!(await isNamespace(folder))) return `has lost its namespace ${folder.namespace}`
  const serving = await servingProcess(folder)
  if (!serving) return 'has no dnsmasq, which gives addresses'
  if (!(await isInside(folder, serving.pid))) return 'has a name that leads to another namespace'
  if (spec.outward && !(await hasWayOut(serving.pid))) return 'has lost its way out'
  if (!(await knowsHost(folder, spec))) return 'does not know all addresses of the host'
  const lost = holders.length === 0 ? [] : await leftBehind(folder, holders)
  if (lost.length === 0) return null
  return `is not where its machines are: ${lost.join(', ')} in a namespace that has no name; stop and start them if that stays`
}

/**
 * Gives the name back to the namespace in which machines or dnsmasq still are, although it has none or another one has it. So no
 * machine stays behind in a network that nobody knows.
 */
export async function findAgain(folder: files.NetworkFolder, members: readonly files.Member[]): Promise<void> {
  if ((await tapsIn(folder)).length > 0) return
  const serving = await servingProcess(folder)
  const from = (await findHolders(members))[0] ?? ((await isNamespace(folder)) ? null : serving)
  if (from) await nameAgain(folder, from)
}

/** Machines that hold taps which are not in the namespace that has the name. */
async function leftBehind(folder: files.NetworkFolder, holders: readonly Holder[]): Promise<string[]> {
  const there = new Set(await tapsIn(folder))
  const members = await files.readMembers(folder)
  const lost = members.filter(({ nic }) => {
    const taps: readonly string[] = files.tapNames(nic)
    return holders.some(({ tap }) => taps.includes(tap) && !there.has(tap))
  })
  return [...new Set(lost.map(({ vm }) => vm))]
}
