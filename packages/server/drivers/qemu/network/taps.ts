// How a machine's process gets its cards in networks: taps.pl opens their taps and becomes QEMU (see there).
import { join } from 'node:path'
import type { NetworkNicSpec, NicSpec } from '../../driver.ts'
import type { Identity } from '../privileges.ts'
import { networkFolder, tapNames } from './folder.ts'
import { bridge } from './segment.ts'

const program = join(import.meta.dirname, 'taps.pl')
const firstFd = 10

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
  { uid, gid }: Identity,
  words: readonly string[],
): [string, ...string[]] {
  const cards = plugs.flatMap(({ nic, fd }) => [
    networkFolder(directory, nic.network.id).namespaceFile,
    tapNames(nic.id).join(),
    bridge,
    String(fd),
  ])
  return ['perl', program, `${uid}:${gid}`, ...cards, '--', ...words]
}
