// A network in the kernel: a namespace of its own with a bridge in it. It is pinned by its name, so it outlives every process; it
// shares no link with the host, so nothing passes from one to another, and the same addresses may be in use in each.
import { mkdir, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { NetworkSpec } from '../../networks.ts'
import { runTool } from '../process/tools.ts'
import { problems } from '../problems.ts'
import type { Member, NetworkFolder } from './folder.ts'
import { guardRules } from './guard.ts'
import type { Holder } from './holders.ts'
import { inside, isOrdinary } from './keeper.ts'
import { parseSubnet } from './subnet.ts'
import { forbidden, noteForbidden } from './user-way-out.ts'

export const bridge = 'br0'
/** The same in every network, for ever: guests remember it. */
export const gatewayMac = '02:52:61:6d:65:74'
const nsfs = 0x6e736673
/**
 * Without IPv6, with which the kernel would speak to machines on its own; and frames that are bridged are not shown to rules for packets and
 * to connection tracking as well (br_netfilter), which costs them more than the guard does.
 */
const making = `
for kind in all default; do
  file=/proc/sys/net/ipv6/conf/$kind/disable_ipv6
  if [ -e $file ]; then echo 1 >$file; fi
done
for file in /proc/sys/net/bridge/bridge-nf-call-*; do
  if [ -e $file ]; then echo 0 >$file; fi
done
exec ip link add ${bridge} type bridge
`
const lost = join(import.meta.dirname, 'lost.pl')

export async function isNamespace({ namespaceFile }: NetworkFolder): Promise<boolean> {
  const found = await statfs(namespaceFile).catch(() => null)
  return found?.type === nsfs
}

/** Whether the process is in the network that has the name. */
export async function isInside({ namespaceFile }: NetworkFolder, pid: number): Promise<boolean> {
  const [named, its] = await Promise.all(
    [namespaceFile, `/proc/${pid}/ns/net`].map(file => stat(file).catch(() => null)),
  )
  return named?.ino === its?.ino && named?.dev === its?.dev
}

export async function makeSegment(folder: NetworkFolder): Promise<void> {
  if (await isNamespace(folder)) return
  await rm(folder.namespaceFile, { force: true }) // a name that was made, and not yet pinned
  // Not by unshare(1) where root is: ip(8) sees to it that programs with mounts of their own lose the name together with the host.
  if (!isOrdinary) return tool(['ip', 'netns', 'add', folder.namespace])
  await writeFile(folder.namespaceFile, '')
  await tool([...inside(folder.directory, null), 'unshare', `--net=${folder.nameFile}`, 'true'])
}

/** Gives the name to a namespace that has lost it: that of a process or of a tap. */
export async function nameAgain(folder: NetworkFolder, from: Holder | { readonly pid: number }): Promise<void> {
  await removeSegment(folder)
  if (!isOrdinary) await mkdir(dirname(folder.namespaceFile), { recursive: true })
  await writeFile(folder.namespaceFile, '')
  const way =
    'tap' in from
      ? [...inside(folder.directory, null), 'perl', lost, String(from.pid), String(from.fd)]
      : inside(folder.directory, `/proc/${from.pid}/ns/net`)
  await tool([...way, 'mount', '--no-canonicalize', '--bind', '/proc/self/ns/net', folder.nameFile])
}

export async function furnish(folder: NetworkFolder, spec: NetworkSpec, members: readonly Member[]): Promise<void> {
  const prefix = parseSubnet(spec.cidr)?.prefix
  const way = inside(folder.directory, folder.namespaceFile)
  const made = await run([...way, 'sh', '-c', making])
  if (made.code !== 0 && !made.stderr.includes('File exists')) throw problems.toolFailed('ip', made.stderr.trim())
  const settings = `
link set lo up
link set ${bridge} type bridge forward_delay 0 stp_state 0 mcast_snooping 0
link set ${bridge} address ${gatewayMac} up
addr replace ${spec.gateway}/${prefix} dev ${bridge}
`
  await tool([...way, 'ip', '-batch', '-'], settings)
  const ranges = await forbidden(spec)
  await guard(folder, guardRules(members, spec.outward !== undefined, ranges))
  await noteForbidden(folder, ranges)
}

export async function guard(folder: NetworkFolder, rules: string): Promise<void> {
  await tool([...inside(folder.directory, folder.namespaceFile), 'nft', '-f', '-'], rules)
}

export async function removeSegment(folder: NetworkFolder): Promise<void> {
  if (await isNamespace(folder)) await tool([...inside(folder.directory, null), 'umount', '--lazy', folder.nameFile])
  await rm(folder.namespaceFile, { force: true })
}

/** The taps that machines hold, as the kernel lists them for a process inside. */
export async function tapsSeenBy(pid: number): Promise<string[]> {
  return tapsAmong(await readFile(`/proc/${pid}/net/dev`, 'utf8'))
}

/** The same without such a process. */
export async function tapsIn(folder: NetworkFolder): Promise<string[]> {
  if (!(await isNamespace(folder))) return []
  return tapsAmong((await run([...inside(folder.directory, folder.namespaceFile), 'cat', '/proc/self/net/dev'])).stdout)
}

function tapsAmong(devices: string): string[] {
  return devices.split('\n').flatMap(line => /^\s*(r[ab][0-9a-f]{12}):/.exec(line)?.[1] ?? [])
}

const run = ([program = '', ...args]: readonly string[], input?: string) =>
  runTool(program, args, { identity: null, timeoutMs: 20_000, ...(input !== undefined && { input }) })

async function tool(words: readonly string[], input?: string): Promise<void> {
  const { code, stderr } = await run(words, input)
  if (code !== 0) throw problems.toolFailed(words.join(' '), stderr.trim().split('\n')[0] ?? '')
}
