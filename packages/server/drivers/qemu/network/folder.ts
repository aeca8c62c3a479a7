// What the driver remembers of a network: `<folder>/<network id>/`. These files are the plan; namespace, bridge, guard and dnsmasq are
// made from them, by a later server too. The names of things in the kernel come from the folder, so that servers keep apart.
//
//   network.json   the description            nics/NIC.json   address, MAC and name of a network card
//   leases/NIC     the same for DHCP          names/NIC       the same for DNS
//   way-out.json   its addresses on the host  former.json     addresses that dnsmasq may take for somebody's who is gone
//   host.json      the host's addresses, which an ordinary user's way out must not reach    slirp4netns.log
//   dnsmasq.pid    dnsmasq.log                ../forwards/ADDRESS-PORT.json    ../keeper and ../namespaces: see keeper.ts
import { createHash } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseId } from '@ramet/core/ids.ts'
import { addressNumber } from '@ramet/core/ipv4.ts'
import type { NetworkId, NicId, VmId } from '@ramet/core/ids.ts'
import { writeWhole } from '../../../write-whole.ts'
import type { Forward, NetworkSpec } from '../../networks.ts'
import { isErrno } from '../problems.ts'
import { entrance, nameFile, seenFromHere } from './keeper.ts'

export interface NetworkFolder {
  readonly id: NetworkId
  /** The folder of all networks. */
  readonly directory: string
  readonly path: string
  readonly record: string
  readonly nics: string
  readonly leases: string
  readonly names: string
  readonly pid: string
  readonly log: string
  readonly former: string
  readonly namespace: string
  /** The file that names it, where the names are. */
  readonly nameFile: string
  /** The same, as the server sees it. */
  readonly namespaceFile: string
  /** Files to enter one after the other, by which anybody gets into the network. */
  readonly namespaces: readonly string[]
}

/** A network card's place in its network. */
export interface Member {
  readonly vm: VmId
  readonly nic: NicId
  readonly mac: string
  readonly address: string
  readonly name: string
  /** False: it is told no router and no name servers. Absent: an older server wrote this, which told everybody. */
  readonly isDefault?: boolean
  /** Mbit/s, either way; absent: as fast as it goes. */
  readonly mbps?: number
}

/** Beside the folder of the machines. */
export function networksDirectory(runDirectory: string): string {
  return join(dirname(runDirectory), 'networks')
}

export function networkFolder(directory: string, id: NetworkId): NetworkFolder {
  const path = join(directory, id)
  const at = (name: string) => join(path, name)
  const namespace = `${namespacePrefix(directory)}${id}`
  const name = nameFile(directory, id, namespace)
  return {
    id,
    directory,
    path,
    record: at('network.json'),
    nics: at('nics'),
    leases: at('leases'),
    names: at('names'),
    pid: at('dnsmasq.pid'),
    log: at('dnsmasq.log'),
    former: at('former.json'),
    namespace,
    nameFile: name,
    namespaceFile: seenFromHere(directory, name),
    namespaces: [...entrance(directory), name],
  }
}

export function namespacePrefix(directory: string): string {
  return `ramet-${createHash('sha256').update(directory).digest('hex').slice(0, 16)}-`
}

/** Its own and its successor's, while the machine's process is replaced; a name has at most 15 characters. */
export function tapNames(nic: NicId): readonly [string, string] {
  const short = nic.replaceAll('-', '').slice(0, 12)
  return [`ra${short}`, `rb${short}`]
}

/** Numbers of these taps as interfaces: nobody else's in the network, whose addresses are, and far above those that the kernel gives. */
export function tapIndexes(address: string): readonly [number, number] {
  const first = 2 ** 30 + 2 * ((addressNumber(address) ?? 0) % 2 ** 24)
  return [first, first + 1]
}

export async function listNetworks(directory: string): Promise<NetworkId[]> {
  return (await names(directory)).map(name => parseId<'network'>(name)).filter(id => id !== null)
}

/** Null when there is none. */
export function readSpec({ record }: NetworkFolder): Promise<NetworkSpec | null> {
  return readJson<NetworkSpec>(record)
}

/** What is written down besides, in JSON; null when it is not. */
export const readPlan = <T>(file: string) => readJson<T>(file)

export const writeSpec = ({ record }: NetworkFolder, spec: NetworkSpec) => writeWhole(record, JSON.stringify(spec))

export function readMembers({ nics }: NetworkFolder): Promise<Member[]> {
  return readAll<Member>(nics)
}

export const writeMember = ({ nics }: NetworkFolder, member: Member) =>
  writeWhole(join(nics, `${member.nic}.json`), JSON.stringify(member))

export const forgetMember = ({ nics }: NetworkFolder, nic: NicId) => rm(join(nics, `${nic}.json`), { force: true })

export const forwardsFolder = (directory: string) => join(directory, 'forwards')

export function readForwards(directory: string): Promise<Forward[]> {
  return readAll<Forward>(forwardsFolder(directory))
}

export const writeForward = (directory: string, forward: Forward) =>
  writeWhole(forwardFile(directory, forward.address, forward.port), JSON.stringify(forward))

export const readForward = (directory: string, address: string, port: number) =>
  readJson<Forward>(forwardFile(directory, address, port))

export const forgetForward = (directory: string, address: string, port: number) =>
  rm(forwardFile(directory, address, port), { force: true })

function forwardFile(directory: string, address: string, port: number): string {
  return join(forwardsFolder(directory), `${address}-${port}.json`)
}

async function readAll<T>(folder: string): Promise<T[]> {
  const files = (await names(folder)).filter(name => name.endsWith('.json'))
  const read = await Promise.all(files.map(name => readJson<T>(join(folder, name))))
  return read.filter(each => each !== null)
}

async function readJson<T>(file: string): Promise<T | null> {
  const text = await readFile(file, 'utf8').catch(nothingThere)
  return text ? (JSON.parse(text) as T) : null
}

async function names(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(nothingThere)) ?? []
}

function nothingThere(error: unknown): null {
  if (isErrno(error, 'ENOENT')) return null
  throw error
}
