// How a machine's process gets its cards in networks: taps.pl opens their taps and becomes QEMU, or gives one to a QEMU that runs.
import { join } from 'node:path'
import type { NetworkNicSpec, NicSpec } from '../../driver.ts'
import type { Identity } from '../process/privileges.ts'
import { problems } from '../problems.ts'
import { lastLine, runTool } from '../process/tools.ts'
import { networkFolder, tapIndexes, tapNames } from './folder.ts'
import { entrance, insider, isOrdinary } from './keeper.ts'
import { bridge } from './segment.ts'

const program = join(import.meta.dirname, 'taps.pl')
const firstFd = 10
const giveLimitMs = 20_000

export interface Plug {
  readonly nic: NetworkNicSpec
  /** Number of the open tap in the machine's process. */
  readonly fd: number
}

export function plugsOf(nics: readonly NicSpec[]): Plug[] {
  return nics.filter(nic => nic.kind === 'network').map((nic, index) => ({ nic, fd: firstFd + index }))
}

/** The program and its arguments that become `words`, run by `identity`, with these taps of networks in `directory`. */
export function withTaps(
  directory: string,
  plugs: readonly Plug[],
  identity: Identity,
  words: readonly string[],
): [string, ...string[]] {
  const { uid, gid } = isOrdinary ? insider : identity
  const cards = plugs.flatMap(({ nic, fd }) => [...placeOf(directory, nic), String(fd)])
  return ['perl', program, 'become', `${uid}:${gid}`, ...cards, '--', ...words]
}

/** Gives the tap of a card to the QEMU that listens at `monitor`, which knows it as `netdev` from then on. */
export async function giveTap(directory: string, nic: NetworkNicSpec, monitor: string, netdev: string): Promise<void> {
  const words = [program, 'give', monitor, netdev, ...placeOf(directory, nic)]
  const { code, stderr } = await runTool('perl', words, { identity: null, timeoutMs: giveLimitMs })
  if (code !== 0) throw problems.tapNotGiven(lastLine(stderr))
}

/** The namespaces of a card, the names that its tap may have with their numbers, and the bridge that it is joined to; a silent one is alone in a new namespace. */
function placeOf(directory: string, { id, network, address, silent }: NetworkNicSpec): string[] {
  const numbers = tapIndexes(address)
  const names = tapNames(id)
    .map((name, which) => `${name}:${numbers[which]}`)
    .join()
  if (silent) return [[...entrance(directory), '-'].join(), names, '']
  return [networkFolder(directory, network.id).namespaces.join(), names, bridge]
}
